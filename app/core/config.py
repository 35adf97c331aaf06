"""Settings: small frozen groups, read from ``TDS_*`` variables and ``.env``.

Nothing here has a usable secret as its default: what is not set is switched off.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from app.core.errors import ConfigurationError

__all__ = [
    "CacheSettings",
    "DatabaseSettings",
    "LogSettings",
    "QueueSettings",
    "RetryOverride",
    "RetrySettings",
    "ServerSettings",
    "Settings",
    "WebhookSettings",
    "WorkerSettings",
    "ZohoSettings",
]

PositiveSeconds = Annotated[float, Field(gt=0, le=86_400)]


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
    """``TDS_SERVER_*``: where the API listens, and who may steer it: without an admin token nobody."""

    model_config = _group("TDS_SERVER_")
    host: str = "127.0.0.1"
    port: int = Field(default=8787, ge=0, le=65_535)
    admin_token: SecretStr | None = None

    @field_validator("admin_token")
    @classmethod
    def _blank_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value().strip() else None


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
    cache: CacheSettings
    webhook: WebhookSettings
    queue: QueueSettings
    retry: RetrySettings
    worker: WorkerSettings
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
                "cache": CacheSettings(),
                "webhook": WebhookSettings(),
                "queue": QueueSettings(),
                "retry": RetrySettings(),
                "worker": WorkerSettings(),
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
    name = prefix.get(error.title, "TDS_") + "_".join(str(part) for part in first["loc"]).upper()
    return f"{name}: {first['msg'].removeprefix('Value error, ')}"
