"""Where a look into the inbox begins: usually at its oldest event; after that which was taken last, where that is dear.

What has been taken leaves dead entries in the index of what is pending. Usually they are gone by the next look; while
somebody holds an old snapshot (a dump, a forgotten session) they stay, and a look at all of them takes longer and
longer. So such looks are given a share of the time only. Those between see what came last, and what is older waits for
the next look at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from uuid import UUID

from app.core.ids import created_at_of, lower_bound
from app.tds.core.validation import OLDEST, InboxEvent

__all__ = ["Looks"]

_SHARE: Final = 20
"""A look at all is due when so many times the time that the last one took has passed."""
_SLACK: Final = timedelta(seconds=1)
"""Events are stored by many at once, and not in the order of their ids."""


class Looks:
    """The looks of one worker. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._due = clock()
        self._began: float | None = None
        self._after = OLDEST
        self._newest = OLDEST

    def begin(self) -> UUID:
        """The id from which on to look now."""
        now = self._clock()
        self._began = now if now >= self._due else None
        return OLDEST if self._began is not None else self._after

    def end(self, events: Sequence[InboxEvent]) -> None:
        """The look brought these events, in the order of their ids."""
        now = self._clock()
        if self._began is not None:
            self._due = now + _SHARE * (now - self._began)
        if events:
            self._after = lower_bound(created_at_of(events[-1].id) - _SLACK)
            self._newest = max(self._newest, events[-1].id)

    def went_past(self, event: InboxEvent, now: datetime) -> bool:
        """Whether an earlier look did not get this event, though it was there: somebody had it, and has failed."""
        return event.id < self._newest and now - event.created_at > _SLACK

    def forget(self) -> None:
        """What was taken was given back: look at all next."""
        self._due = self._clock()
