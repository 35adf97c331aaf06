"""Settings: small frozen groups, read from ``TDS_*`` variables and ``.env``.

Nothing here has a usable secret as its default: what is not set is switched off.
"""

from __future__ import annotations

import os
import re
from datetime import tzinfo
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from app.core.clock import zone_of
from app.core.errors import ConfigurationError

__all__ = [
    "AlertSettings",
    "AuthSettings",
    "CacheSettings",
    "DatabaseSettings",
    "LogSettings",
    "QueueSettings",
    "RetryOverride",
    "RetrySettings",
    "ServerSettings",
    "Settings",
    "StreamSettings",
    "WebhookSettings",
    "WorkerSettings",
    "ZohoSettings",
]

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]
RoleName = Literal["viewer", "operator", "admin"]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _words(value: object) -> object:
    return tuple(one.strip() for one in value.split(",") if one.strip()) if isinstance(value, str) else value


WordList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Words with commas between them."""


def _group(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(
        env_prefix=prefix, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )


def default_home() -> Path:
    """Where TDS keeps its own files: ``/var/lib/tds`` for root, the user's data folder otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/tds")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "tds"


class HomeSettings(BaseSettings):
    """``TDS_HOME``: the folder for the embedded PostgreSQL and other local files."""

    model_config = _group("TDS_")
    home: Path = Field(default_factory=default_home)

    @field_validator("home", mode="before")
    @classmethod
    def _not_blank(cls, value: object) -> object:
        return default_home() if value == "" else value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = value.expanduser()
        if not path.is_absolute():
            raise ValueError("must be an absolute path, or every folder you start tds in has a database of its own")
        return path


class DatabaseSettings(BaseSettings):
    """``TDS_DATABASE_*``: which PostgreSQL; with no URL, the embedded one.

    A connection may fall silent without an end (a firewall that forgot it). Then the client gives a statement up after
    ``statement_seconds``, and the server a transaction that nobody goes on with after ``idle_transaction_seconds``,
    and with it its locks.
    """

    model_config = _group("TDS_DATABASE_")
    url: SecretStr | None = None
    name: str = Field(default="tds", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="Embedded server only.")
    pool_size: int = Field(default=10, ge=1, le=200)
    pool_timeout: PositiveSeconds = 30.0
    statement_cache: int = Field(default=200, ge=0, description="0 behind PgBouncer in transaction mode.")
    application_name: str = "tds"
    statement_seconds: PositiveSeconds | None = 60.0
    idle_transaction_seconds: PositiveSeconds = 30.0

    @field_validator("url")
    @classmethod
    def _postgresql_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        if not value.get_secret_value().startswith(("postgresql://", "postgres://", "postgresql+asyncpg://")):
            raise ValueError("must start with postgresql:// (TDS runs on PostgreSQL only)")
        return value


class ServerSettings(BaseSettings):
    """``TDS_SERVER_*``: where the API listens, one token that is not in the database, and how much anybody may ask.

    Lists are written with commas. ``X-Forwarded-For`` counts only from ``trusted_proxies``, addresses or networks.
    """

    model_config = _group("TDS_SERVER_")
    host: str = "127.0.0.1"
    port: int = Field(default=8787, ge=0, le=65_535)
    admin_token: SecretStr | None = None
    rate_per_minute: int = Field(default=600, ge=1, le=100_000_000, description="Requests of one token or session.")
    rate_burst: int = Field(default=120, ge=1, le=100_000_000, description="How many of them at once.")
    cors_origins: WordList = ()
    trusted_proxies: WordList = ()
    time_zone: str = Field(default="UTC", description="Where a day begins: Asia/Baghdad, Europe/London, ...")

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not re.fullmatch(r"https?://[^/\s*]+", one):
                raise ValueError(f"{one!r} is no origin: write https://host, or http://host:port, without a path")
        return value

    @field_validator("admin_token")
    @classmethod
    def _blank_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value().strip() else None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        zone_of(value)
        return value

    @property
    def zone(self) -> tzinfo:
        """``time_zone``, to reckon with."""
        return zone_of(self.time_zone)


class AuthSettings(BaseSettings):
    """``TDS_AUTH_*``: the company's identity provider (without an issuer there is none), and how sessions end.

    ``role_claim`` may be a path (``realm_access.roles``); its value is one name or a list. ``roles`` says in JSON which
    of the provider's names is which role here; without it they have to be called viewer, operator and admin.
    """

    model_config = _group("TDS_AUTH_")
    issuer: str | None = None
    audience: str | None = None
    jwks_url: str | None = Field(default=None, description="From the issuer's OpenID discovery where it is left out.")
    role_claim: str = Field(default="role", min_length=1)
    name_claim: str = Field(default="sub", min_length=1)
    roles: dict[str, RoleName] = Field(default_factory=lambda: {one: one for one in get_args(RoleName)})
    leeway_seconds: float = Field(default=60.0, ge=0, le=300)
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA"], ...] = Field(
        default=("RS256", "ES256", "EdDSA"), min_length=1
    )
    session_idle_minutes: float = Field(default=480.0, gt=0, le=525_600)
    session_hours: float = Field(default=168.0, gt=0, le=8_760)

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _secure_url(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("must start with https:// (http:// only on this machine): keys are fetched from there")
        return value

    @field_validator("audience", mode="after")
    @classmethod
    def _blank_audience(cls, value: str | None) -> str | None:
        return value if value and value.strip() else None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.issuer is not None and self.audience is None:
            raise ValueError("TDS_AUTH_AUDIENCE must be set with TDS_AUTH_ISSUER: else any application's token is good")
        if self.issuer is None and (self.audience or self.jwks_url):
            raise ValueError("TDS_AUTH_ISSUER must be set: without it no identity provider is asked")
        return self


class CacheSettings(BaseSettings):
    """``TDS_CACHE_*``: where answers are kept. Without a URL each process keeps its own, in memory.

    Installations that share a Redis, a copy of this one included, need prefixes of their own.
    """

    model_config = _group("TDS_CACHE_")
    url: SecretStr | None = None
    prefix: str = Field(default="tds:view:", min_length=1, max_length=100)
    megabytes: int = Field(default=32, ge=1, le=4_096, description="Memory of a process for cached answers.")

    @field_validator("url")
    @classmethod
    def _redis_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or value.get_secret_value().strip() in ("", "memory://"):
            return None
        if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://; leave it out for a cache in memory")
        return value


class StreamSettings(BaseSettings):
    """``TDS_STREAM_*``: the event stream of pages and phones, for each process."""

    model_config = _group("TDS_STREAM_")
    heartbeat_seconds: PositiveSeconds = 15.0
    look_seconds: PositiveSeconds = Field(default=1.0, description="How long news may wait where no bell tells of it.")
    longest_seconds: PositiveSeconds = Field(default=3_600.0, description="Then a client comes again, by itself.")
    clients: int = Field(default=1_000, ge=1, le=100_000)
    clients_each: int = Field(default=50, ge=1, le=100_000, description="Of one token, session or person.")
    queued_events: int = Field(default=1_000, ge=1, le=100_000, description="A client further behind is cut off.")
    resumable_events: int = Field(default=10_000, ge=1, le=10_000_000, description="How far back a client may resume.")


class WebhookSettings(BaseSettings):
    """``TDS_WEBHOOK_*``: limits of what is received."""

    model_config = _group("TDS_WEBHOOK_")
    max_bytes: int = Field(default=1_048_576, ge=1_024, le=104_857_600)
    dedupe_hours: float = Field(default=168.0, gt=0, description="Longer than any provider retries.")


class QueueSettings(BaseSettings):
    """``TDS_QUEUE_*``: how items are claimed and leased.

    A lease covers the time from an item's claim to the start of its transaction, which is milliseconds: from then on
    row locks protect it. So it can be short, and what a killed worker held is soon taken up by another.
    """

    model_config = _group("TDS_QUEUE_")
    batch_size: int = Field(default=100, ge=1, le=5_000)
    lease_seconds: PositiveSeconds = 10.0
    poll_seconds: PositiveSeconds = 2.0
    run_lease_seconds: PositiveSeconds = 15.0
    high_water: int = Field(default=20_000, ge=1, description="Pollers hold back while more than this waits.")
    parent_wait_hours: float = Field(default=24.0, gt=0)
    quarantine_after: int = Field(default=3, ge=1, description="Workers an item may take down with it.")


class RetryOverride(BaseModel):
    """What one entity type does otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    base_seconds: PositiveSeconds | None = None
    cap_seconds: PositiveSeconds | None = None
    jitter: float | None = Field(default=None, ge=0, le=1)


class RetrySettings(BaseSettings):
    """``TDS_RETRY_*``: backoff of failed items: 1, 2, 4, 8 minutes.

    ``TDS_RETRY_ENTITIES={"product": {"max_attempts": 5}}`` sets it apart for an entity type.
    """

    model_config = _group("TDS_RETRY_")
    max_attempts: int = Field(default=3, ge=1, le=100)
    base_seconds: PositiveSeconds = 60.0
    cap_seconds: PositiveSeconds = 480.0
    jitter: float = Field(default=0.1, ge=0, le=1)
    entities: dict[str, RetryOverride] = Field(default_factory=dict[str, RetryOverride])


class WorkerSettings(BaseSettings):
    """``TDS_WORKER_*``: the workers of one process."""

    model_config = _group("TDS_WORKER_")
    count: int = Field(default=2, ge=0, le=64)


class AlertSettings(BaseSettings):
    """``TDS_ALERT_*``: when alerts fire, how often is looked, and when they resolve; docs/alerts.md explains each."""

    model_config = _group("TDS_ALERT_")
    failure_rate: float = Field(default=10.0, gt=0, lt=100, description="Per cent of an entity type's attempts.")
    failure_minutes: int = Field(default=60, ge=1, le=1_440)
    failure_items: int = Field(default=20, ge=1, description="Of fewer attempts, nothing is concluded.")
    queue_depth: int = Field(default=10_000, ge=1)
    stale_seconds: PositiveSeconds = 3_600.0
    dead_letters: int = Field(default=25, ge=1, description="New within an hour, and still open.")
    worker_seconds: PositiveSeconds = 45.0
    sample_seconds: PositiveSeconds = 10.0
    resolve_below: float = Field(default=0.8, gt=0, le=1)
    resolve_rounds: int = Field(default=2, ge=1, le=1_000)
    metrics_days: int = Field(default=90, ge=2, le=3_650, description="How long rollups and samples are kept.")


class ZohoSettings(BaseSettings):
    """``TDS_ZOHO_*``: the connection named ``zoho``. Bases name the data centre."""

    model_config = _group("TDS_ZOHO_")
    accounts_url: AnyHttpUrl | None = None
    api_url: AnyHttpUrl | None = None
    organization_id: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    concurrency: int = Field(default=5, ge=1, le=10)

    @cached_property
    def missing(self) -> list[str]:
        """The variables that polling needs and that are not set."""
        names = ("accounts_url", "api_url", "organization_id", "client_id", "client_secret", "refresh_token")
        return [f"TDS_ZOHO_{name.upper()}" for name in names if not getattr(self, name)]


class LogSettings(BaseSettings):
    """``TDS_LOG_*``: what is logged and how."""

    model_config = _group("TDS_LOG_")
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Settings(BaseModel):
    """All groups; read once, in the composition root."""

    model_config = ConfigDict(frozen=True)
    home: Path
    database: DatabaseSettings
    server: ServerSettings
    auth: AuthSettings
    cache: CacheSettings
    stream: StreamSettings
    webhook: WebhookSettings
    queue: QueueSettings
    retry: RetrySettings
    worker: WorkerSettings
    alert: AlertSettings
    zoho: ZohoSettings
    log: LogSettings

    @classmethod
    def load(cls, **groups: Any) -> Settings:
        """Read the environment and ``.env``; ``groups`` replace whole groups.

        Raises:
            ConfigurationError: a variable has a value that cannot be used; the message names it.
        """
        try:
            values: dict[str, Any] = {
                "home": HomeSettings().home,
                "database": DatabaseSettings(),
                "server": ServerSettings(),
                "auth": AuthSettings(),
                "cache": CacheSettings(),
                "stream": StreamSettings(),
                "webhook": WebhookSettings(),
                "queue": QueueSettings(),
                "retry": RetrySettings(),
                "worker": WorkerSettings(),
                "alert": AlertSettings(),
                "zoho": ZohoSettings(),
                "log": LogSettings(),
            }
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from error
        except SettingsError as error:
            raise ConfigurationError(f"a TDS_* variable that takes JSON does not hold JSON: {error}") from error
        return cls(**(values | groups))


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    prefix = {c.__name__: str(c.model_config.get("env_prefix", "")) for c in BaseSettings.__subclasses__()}
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # of several variables together, which the message names
        return message
    name = prefix.get(error.title, "TDS_") + "_".join(str(part) for part in first["loc"]).upper()
    return f"{name}: {message}"
