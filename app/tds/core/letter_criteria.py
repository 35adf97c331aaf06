"""Which dead letters are meant: one set of conditions for lists, counts, groups and jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement

from app.core.clock import as_utc
from app.core.errors import InvalidError
from app.tds.core.errors import storable
from app.tds.models import TDSDeadLetterQueue

__all__ = ["LetterCriteria"]

_TIMES: Final = frozenset({"created_after", "created_before"})
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterCriteria:
    """Dead letters that fulfil all of these; None asks nothing, and ``resolved`` None means both kinds.

    ``text`` is looked for in the reason, in any case. ``created_after`` is part of the span, ``created_before`` is not.
    """

    source: str | None = None
    entity_type: str | None = None
    source_entity_id: str | None = None
    error_code: str | None = None
    fingerprint: str | None = None
    text: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    resolved: bool | None = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, str) and (len(value) > _LONGEST or storable(value) != value):
                raise InvalidError(f"{name} must be a text of at most {_LONGEST} characters, none of them NUL")

    @property
    def narrow(self) -> bool:
        """Whether anything is asked, beside the state of the letters."""
        return any(getattr(self, one.name) is not None for one in fields(self) if one.name != "resolved")

    def open_only(self) -> LetterCriteria:
        """The same for letters that something can still be done about."""
        return replace(self, resolved=False)

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a WHERE."""
        letter = TDSDeadLetterQueue
        equal = {name: getattr(self, name) for name in _EQUAL}
        found = [getattr(letter, name) == value for name, value in equal.items() if value is not None]
        if self.resolved is not None:
            found.append(letter.resolved if self.resolved else ~letter.resolved)
        if self.text:
            found.append(letter.failure_reason.icontains(self.text, autoescape=True))
        if self.created_after is not None:
            found.append(letter.created_at >= self.created_after)
        if self.created_before is not None:
            found.append(letter.created_at < self.created_before)
        return found

    def as_json(self) -> dict[str, Any]:
        """What is asked, in JSON values."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: as_utc(value).isoformat() if name in _TIMES else value for name, value in given.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LetterCriteria:
        """The criteria that ``as_json`` wrote."""
        values: dict[str, Any] = {"resolved": None, **stored}
        for name in _TIMES & values.keys():
            values[name] = datetime.fromisoformat(values[name])
        return cls(**values)


_EQUAL: Final = ("source", "entity_type", "source_entity_id", "error_code", "fingerprint")
