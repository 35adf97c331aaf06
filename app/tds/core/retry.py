"""Which errors are worth another try, and when: pure functions."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core.config import RetryOverride, RetrySettings
from app.core.errors import ConfigurationError, InvalidError
from app.tds.core.errors import FieldError, MappingError, SourceThrottledError
from app.tds.core.outcomes import Dead, Defer, End, Retry
from app.tds.types import EntityType

__all__ = ["ErrorClass", "RetryPolicy", "classify", "decide", "is_batch_error", "sqlstate"]

_BATCH_STATES = ("08", "25", "40", "53", "55P03", "57")
"""SQLSTATE classes that tell of the connection, the transaction or the server, never of one item."""


_FOREIGN_KEY = "23503"
_AGAIN = 1.0


class ErrorClass(StrEnum):
    """What an error says about trying again."""

    TRANSIENT = "transient"
    THROTTLED = "throttled"
    MISSING = "missing"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff: ``base`` seconds, doubled with each attempt up to ``cap``, spread by ``jitter``."""

    max_attempts: int = 3
    base: float = 60.0
    cap: float = 480.0
    jitter: float = 0.1

    @classmethod
    def of(cls, settings: RetrySettings) -> RetryPolicy:
        """The policy that the settings describe."""
        return cls(settings.max_attempts, settings.base_seconds, settings.cap_seconds, settings.jitter)

    @classmethod
    def by_entity(cls, settings: RetrySettings) -> dict[EntityType, RetryPolicy]:
        """The policies of entity types that are set apart.

        Raises:
            ConfigurationError: a name is no entity type.
        """
        base = cls.of(settings)
        return {_entity_type(name): base.but(override) for name, override in settings.entities.items()}

    def but(self, override: RetryOverride) -> RetryPolicy:
        """This policy, with what the override names."""
        return RetryPolicy(
            max_attempts=self.max_attempts if override.max_attempts is None else override.max_attempts,
            base=self.base if override.base_seconds is None else override.base_seconds,
            cap=self.cap if override.cap_seconds is None else override.cap_seconds,
            jitter=self.jitter if override.jitter is None else override.jitter,
        )

    def delay(self, attempt: int, random: Callable[[], float]) -> timedelta:
        """How long to wait after failure number ``attempt`` (from 1); ``random`` gives numbers in [0, 1)."""
        seconds = min(self.cap, self.base * 2.0 ** (attempt - 1))
        return timedelta(seconds=seconds * (1 + self.jitter * (2 * random() - 1)))


def _entity_type(name: str) -> EntityType:
    try:
        return EntityType(name)
    except ValueError as error:
        known = ", ".join(EntityType)
        raise ConfigurationError(f"TDS_RETRY_ENTITIES: {name!r} is no entity type; known are {known}") from error


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of a database error, ``""`` where there is none."""
    original = getattr(error, "orig", None)
    return str(getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or "")


def is_batch_error(error: BaseException) -> bool:
    """Whether an error concerns the whole transaction, so that splitting the batch would not help."""
    if isinstance(error, PoolTimeoutError | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = sqlstate(error)
    return (
        error.connection_invalidated
        or state.startswith(_BATCH_STATES)
        or (isinstance(error, OperationalError) and not state)
    )


def classify(error: BaseException) -> ErrorClass:
    """The class of an error that one item caused."""
    if isinstance(error, SourceThrottledError):
        return ErrorClass.THROTTLED
    if sqlstate(error) == _FOREIGN_KEY:
        return ErrorClass.MISSING
    if isinstance(error, InvalidError | IntegrityError | DataError):
        return ErrorClass.PERMANENT
    if sqlstate(error).startswith(("22", "23")):
        return ErrorClass.PERMANENT
    return ErrorClass.TRANSIENT


def decide(
    policy: RetryPolicy, attempts: int, error: BaseException, *, now: datetime, random: Callable[[], float]
) -> End:
    """What becomes of an item whose handler failed with ``error`` after ``attempts`` earlier failures."""
    code, reason = _code(error), _reason(error)
    match classify(error):
        case ErrorClass.THROTTLED:
            wait = error.retry_after if isinstance(error, SourceThrottledError) else policy.base
            return Defer(now + timedelta(seconds=wait), code, reason)
        case ErrorClass.MISSING:
            # What it refers to was deleted between the look and the write: the next attempt waits for it by name.
            return Defer(now + timedelta(seconds=_AGAIN), code, reason)
        case ErrorClass.TRANSIENT if attempts + 1 < policy.max_attempts:
            return Retry(now + policy.delay(attempts + 1, random), code, reason)
        case _:
            stack = "".join(traceback.format_exception(error))[-16_000:]
            return Dead(code, reason, errors=_field_errors(error), stack=stack)


def _code(error: BaseException) -> str:
    if isinstance(error, MappingError):
        return error.reason
    return sqlstate(error) or type(error).__name__


def _reason(error: BaseException) -> str:
    original = getattr(error, "orig", None) or error
    text = str(original).strip().splitlines()
    return (text[0] if text else type(error).__name__).replace("\x00", "")[:1_000]


def _field_errors(error: BaseException) -> tuple[FieldError, ...]:
    return error.errors if isinstance(error, MappingError) else ()
