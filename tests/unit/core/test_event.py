"""Domain events: what they fill in, what they refuse, how they look as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from app.core.events.event import DomainEvent, EventTypeError
from app.core.events.patterns import PatternError, check_pattern, matches
from app.core.ids import created_at_of, new_id


class TestDomainEvent:
    """Making an event."""

    def test_fills_in_id_time_and_module(self) -> None:
        """An event needs a type only; its id carries the time at which it was made."""
        event = DomainEvent(event_type="tds.sync.started")
        assert event.event_id.version == 7
        assert event.module == "tds"
        assert event.occurred_at.tzinfo is UTC
        assert abs(created_at_of(event.event_id) - event.occurred_at) < timedelta(seconds=1)
        assert (event.data, event.aggregate_type, event.aggregate_id, event.correlation_id) == ({}, None, None, None)

    def test_takes_a_naive_time_as_utc(self) -> None:
        """A datetime without a zone is UTC, as everywhere."""
        event = DomainEvent(event_type="a.b", occurred_at=datetime(2025, 1, 2, 3, 4))  # noqa: DTZ001 - the point of it
        assert event.occurred_at == datetime(2025, 1, 2, 3, 4, tzinfo=UTC)

    def test_turns_other_zones_into_utc(self) -> None:
        """An aware datetime keeps its moment and becomes UTC."""
        baghdad = timezone(timedelta(hours=3))
        event = DomainEvent(event_type="a.b", occurred_at=datetime(2025, 1, 2, 3, tzinfo=baghdad))
        assert event.occurred_at.isoformat() == "2025-01-02T00:00:00+00:00"

    @pytest.mark.parametrize("event_type", ["", ".", "tds.", ".tds", "tds..sync", "tds.*", "tds sync", "tds.sync\n"])
    def test_refuses_what_is_no_type(self, event_type: str) -> None:
        """A type is words joined by dots; the message shows what was given."""
        with pytest.raises(EventTypeError) as caught:
            DomainEvent(event_type=event_type)
        assert repr(event_type) in caught.value.message

    def test_cannot_be_changed(self) -> None:
        """What happened has happened."""
        event = DomainEvent(event_type="a.b")
        with pytest.raises(AttributeError):
            event.module = "other"  # pyright: ignore[reportAttributeAccessIssue] - the point of the test

    def test_is_delivered_under_its_own_type(self) -> None:
        """Without a subclass that says more, the type is the only delivery type."""
        assert DomainEvent(event_type="a.b").delivery_types == ("a.b",)


class TestAsDict:
    """Events as JSON."""

    def test_holds_json_values_only(self) -> None:
        """Ids and times become text, money a string that keeps its digits."""
        product = new_id()
        event = DomainEvent(
            event_type="tds.entity.update",
            occurred_at=datetime(2025, 1, 2, tzinfo=UTC),
            aggregate_type="product",
            aggregate_id="42",
            data={"price": Decimal("1.10"), "id": product, "seen": datetime(2025, 1, 1, tzinfo=UTC), "name": "شاي"},
            correlation_id="c-1",
        )
        assert orjson.loads(orjson.dumps(event.as_dict())) == {
            "event_id": str(event.event_id),
            "event_type": "tds.entity.update",
            "module": "tds",
            "occurred_at": "2025-01-02T00:00:00+00:00",
            "aggregate_type": "product",
            "aggregate_id": "42",
            "data": {"price": "1.10", "id": str(product), "seen": "2025-01-01T00:00:00+00:00", "name": "شاي"},
            "correlation_id": "c-1",
        }

    def test_refuses_data_that_json_has_no_form_for(self) -> None:
        """An object in the data is a mistake of its publisher, told by the object's type."""
        with pytest.raises(TypeError):
            DomainEvent(event_type="a.b", data={"handler": object()}).as_dict()

    def test_ids_are_uuids(self) -> None:
        """The id reads back as the UUID it was."""
        event = DomainEvent(event_type="a.b")
        assert UUID(event.as_dict()["event_id"]) == event.event_id


class TestMatches:
    """Which types a pattern covers."""

    @pytest.mark.parametrize(
        ("pattern", "event_type"),
        [
            ("tds.entity.create", "tds.entity.create"),
            ("tds.*", "tds.entity.create"),
            ("tds.*", "tds.started"),
            ("tds.entity.*", "tds.entity.create"),
            ("*", "anything"),
            ("*", "tds.entity.create"),
        ],
    )
    def test_covers(self, pattern: str, event_type: str) -> None:
        """Exact types, everything below a word at any depth, everything."""
        assert matches(pattern, event_type)

    @pytest.mark.parametrize(
        ("pattern", "event_type"),
        [
            ("tds.entity.create", "tds.entity.created"),
            ("tds.*", "tds"),
            ("tds.*", "tdsx.entity"),
            ("tds.entity.*", "tds.sync.started"),
            ("entity.*", "tds.entity.create"),
        ],
    )
    def test_does_not_cover(self, pattern: str, event_type: str) -> None:
        """Neither longer words, nor the word itself, nor a word further inside."""
        assert not matches(pattern, event_type)


class TestCheckPattern:
    """Which patterns are patterns."""

    @pytest.mark.parametrize("pattern", ["", "a*b", "*.tds", "tds*", "tds.*.create", "**", ".*", "tds..*", "tds. *", 7])
    def test_refuses_others(self, pattern: object) -> None:
        """A star stands alone or at the end, after a dot; the error says what may be given."""
        with pytest.raises(PatternError) as caught:
            check_pattern(pattern)
        assert repr(pattern) in caught.value.message
        assert "tds.*" in caught.value.message
        assert caught.value.status == 422
