"""Errors of the data-sync domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from app.core.errors import ConflictError, InvalidError, TdsError

__all__ = [
    "FieldError",
    "LeaseLostError",
    "MappingError",
    "RowMissingError",
    "SignatureError",
    "SourceAuthError",
    "SourceDisabledError",
    "SourceError",
    "SourceThrottledError",
    "SourceUnavailableError",
    "UnknownSourceError",
    "storable",
]


def storable(text: str) -> str:
    """``text`` with what no database text can hold (NUL, lone surrogates) replaced by U+FFFD."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field; ``field`` is a dotted path, ``""`` for the whole body."""

    field: str
    message: str
    code: str

    def __post_init__(self) -> None:
        # What is wrong with a hostile input quotes the input: the complaint itself must be storable.
        for name in ("field", "message", "code"):
            object.__setattr__(self, name, storable(getattr(self, name)))

    def as_dict(self) -> dict[str, str]:
        """The same, as JSON values."""
        return asdict(self)


class MappingError(InvalidError):
    """The event cannot be understood. What could be told of its entity all the same is kept."""

    def __init__(
        self,
        errors: Sequence[FieldError],
        *,
        code: str = "mapping",
        entity_type: str | None = None,
        source_entity_id: str | None = None,
    ) -> None:
        self.errors = tuple(errors)
        self.reason = code
        self.entity_type = entity_type
        self.source_entity_id = source_entity_id
        super().__init__("; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors))

    @property
    def details(self) -> Mapping[str, Any]:
        """What is wrong, by field."""
        return {"errors": [one.as_dict() for one in self.errors]}


class SignatureError(TdsError):
    """The delivery is not signed, or its signature does not fit the webhook secret of this source."""

    status: ClassVar[int] = 401


class SourceDisabledError(TdsError):
    """This source accepts no webhooks: no webhook secret is configured."""

    status: ClassVar[int] = 404


class UnknownSourceError(TdsError):
    """There is no source of that name."""

    status: ClassVar[int] = 404


class LeaseLostError(ConflictError):
    """The lease on this queue item is not held by the caller any more; nothing was written."""


class RowMissingError(ConflictError):
    """A row that this transaction has locked is not where it was; the transaction must not be committed."""


class SourceError(TdsError):
    """A source's answer cannot be used."""

    status: ClassVar[int] = 502

    def __init__(self, message: str | None = None, *, detail: dict[str, Any] | None = None) -> None:
        self.detail = detail or {}
        super().__init__(message)


class SourceUnavailableError(SourceError):
    """A source does not answer, or answers with an error of its own; worth another try later."""


class SourceThrottledError(SourceError):
    """A source asks for patience; ``retry_after`` is in seconds."""

    def __init__(self, message: str | None = None, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class SourceAuthError(SourceError):
    """A source refuses the credentials: a person must look at them."""
