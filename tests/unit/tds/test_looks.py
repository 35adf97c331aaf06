"""Where looks into the inbox begin."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from app.core.clock import utc_now
from app.core.ids import created_at_of, lower_bound, new_id
from app.tds.core.validation import OLDEST, InboxEvent
from app.tds.workers.looks import Looks
from tests.support.clock import Clock

NOW = utc_now()


def event(identifier: UUID, age: timedelta = timedelta(0)) -> InboxEvent:
    """A row of the inbox; ``age`` is taken from ``NOW``."""
    return InboxEvent(identifier, "zoho", None, None, None, b"", "{}", None, 1, NOW - age, None, None)


def look(looks: Looks, clock: Clock, seconds: float, newest: UUID | None) -> UUID:
    """One look that takes so long; where it began."""
    first = looks.begin()
    clock.now += seconds
    looks.end([event(newest)] if newest else [])
    return first


def test_the_first_look_is_at_all() -> None:
    """And so is the next, once twenty times its duration has passed."""
    clock = Clock()
    looks = Looks(clock)
    assert look(looks, clock, 0.001, new_id()) == OLDEST
    clock.now += 0.021
    assert look(looks, clock, 0.001, new_id()) == OLDEST


def test_a_dear_look_is_made_seldom() -> None:
    """Between two of them looks begin a second before what was taken last, however long those take."""
    clock = Clock()
    looks = Looks(clock)
    taken = new_id()
    assert look(looks, clock, 1.0, taken) == OLDEST
    for _ in range(3):
        assert look(looks, clock, 6.0, None) == lower_bound(created_at_of(taken) - timedelta(seconds=1))
    clock.now += 2.1
    assert look(looks, clock, 0.1, None) == OLDEST


def test_each_look_moves_the_beginning_on() -> None:
    """By what it took."""
    clock = Clock()
    looks = Looks(clock)
    first, second = (lower_bound(created_at_of(new_id()) + timedelta(hours=hours)) for hours in (1, 2))
    look(looks, clock, 1.0, first)
    assert look(looks, clock, 0.1, second) == lower_bound(created_at_of(first) - timedelta(seconds=1))
    assert looks.begin() == lower_bound(created_at_of(second) - timedelta(seconds=1))


def test_what_was_there_and_was_not_got_is_known() -> None:
    """Somebody had it. What is younger than a second may just have been committed late."""
    looks = Looks(Clock())
    oldest, newest = new_id(), new_id()
    assert not looks.went_past(event(oldest, timedelta(hours=1)), NOW)
    looks.begin()
    looks.end([event(newest)])
    assert looks.went_past(event(oldest, timedelta(seconds=2)), NOW)
    assert not looks.went_past(event(oldest, timedelta(seconds=0.5)), NOW)
    assert not looks.went_past(event(new_id(), timedelta(seconds=2)), NOW)


def test_what_was_given_back_is_looked_for_at_once() -> None:
    """Wherever it lies."""
    clock = Clock()
    looks = Looks(clock)
    look(looks, clock, 10.0, new_id())
    looks.forget()
    assert looks.begin() == OLDEST
