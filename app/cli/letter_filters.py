"""The options by which dead letters are chosen, the same for every command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.failures import UsageError

if TYPE_CHECKING:
    from app.tds.core.letter_criteria import LetterCriteria

__all__ = ["Entity", "ErrorCode", "Filters", "Fingerprint", "NewerThan", "OlderThan", "Source", "Text", "span"]

_PANEL: Final = "Which ones"
_SPAN: Final = re.compile(r"(\d{1,9})\s*(s|min|m|h|d|w)")
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Entity = Annotated[str | None, typer.Option("--entity", "-e", help="Of this entity type only.", rich_help_panel=_PANEL)]
Source = Annotated[str | None, typer.Option(help="Of this source only.", rich_help_panel=_PANEL)]
ErrorCode = Annotated[str | None, typer.Option("--error-code", help="With this code.", rich_help_panel=_PANEL)]
Fingerprint = Annotated[
    str | None, typer.Option(help="Those that failed in this same way (see groups).", rich_help_panel=_PANEL)
]
Text = Annotated[str | None, typer.Option(help="With these words in the reason.", rich_help_panel=_PANEL)]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", help="Given up longer ago: 30min, 2h, 7d.", rich_help_panel=_PANEL)
]
NewerThan = Annotated[
    str | None, typer.Option("--newer-than", help="Given up since then: 30min, 2h, 7d.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What was given of these options."""

    entity: str | None = None
    source: str | None = None
    error_code: str | None = None
    fingerprint: str | None = None
    text: str | None = None
    older_than: str | None = None
    newer_than: str | None = None

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self != Filters()

    def criteria(self, *, resolved: bool | None = False) -> LetterCriteria:
        """The same for the service.

        Raises:
            UsageError: a span of time that cannot be read.
        """
        from app.core.clock import utc_now
        from app.tds.core.letter_criteria import LetterCriteria

        now = utc_now()
        return LetterCriteria(
            source=self.source,
            entity_type=self.entity,
            error_code=self.error_code,
            fingerprint=self.fingerprint,
            text=self.text,
            created_before=_before(now, self.older_than),
            created_after=_before(now, self.newer_than),
            resolved=resolved,
        )


def _before(now: datetime, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return now - span(given)
    except OverflowError as error:
        raise UsageError(f"{given!r} is longer ago than any clock can tell") from error


def span(text: str) -> timedelta:
    """A span of time: a number and s, min, h, d or w.

    Raises:
        UsageError: it is something else.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError(f"{text!r} is no span of time: give a number and s, min, h, d or w, such as 2h")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
