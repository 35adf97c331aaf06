"""From the raw bytes of a webhook to the ERP's row, its audit and its events."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from app.core.config import ZohoSettings
from app.core.database import Database
from app.core.events.event_bus import event_bus
from app.tds.core import inbox
from app.tds.core.errors import FieldError, MappingError
from app.tds.core.ports import RawRecord
from app.tds.sources.zoho import ZohoSource
from app.tds.types import EntityType, OperationType
from tests.support.pipeline import FakeSource, body, drain, rows, store, validate, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
ITEM = "2646610000900000001"
LATEST = "SELECT status FROM tds_inbox_events ORDER BY arrival"


def item(name: str, time: str, **more: Any) -> bytes:
    """The body of an item's webhook."""
    return json.dumps({"item": {"item_id": ITEM, "name": name, "last_modified_time": time, **more}}).encode()


async def deliver(database: Database, *deliveries: bytes | RawRecord) -> None:
    """Receive, validate and apply deliveries, each on its own."""
    source = ZohoSource(ZohoSettings())
    for one in deliveries:
        await store(database, one)
        await validate(database, source)
        await drain(database)
    await source.aclose()


class TestWebhooksOfZoho:
    """Bodies as Zoho sends them, through the real source."""

    async def test_become_rows_with_audit_and_events(self, database: Database) -> None:
        """Create, update, delete: each with what was before and after it, and in order."""
        gone = RawRecord(
            body=json.dumps({"item_id": ITEM}).encode(),
            entity_type=EntityType.PRODUCT,
            source_entity_id=ITEM,
            operation=OperationType.DELETE,
        )
        created = item("Cable", "2026-03-01T12:00:00+0300", rate=12.5)
        updated = item("Cable 2 m", "2026-03-01T12:05:00+0300", rate=12.5)
        await deliver(database, created, updated)
        (product,) = await rows(database, "SELECT id, name, price FROM erp_products")
        assert (product["name"], str(product["price"])) == ("Cable 2 m", "12.500000")
        await deliver(database, gone)

        assert await value(database, "SELECT count(*) FROM erp_products") == 0
        trail = await rows(database, "SELECT * FROM tds_audit_trail ORDER BY id")
        assert [one["operation"] for one in trail] == ["create", "update", "delete"]
        assert {one["entity_id"] for one in trail} == {str(product["id"])}
        assert trail[0]["before"] is None
        assert trail[0]["after"]["name"] == "Cable"
        assert (trail[1]["before"], trail[1]["after"]) == ({"name": "Cable"}, {"name": "Cable 2 m"})
        assert trail[1]["changed_fields"] == ["name"]
        assert (trail[2]["before"]["name"], trail[2]["after"]) == ("Cable 2 m", None)
        events = await rows(database, "SELECT event_type, aggregate_id, data FROM event_log ORDER BY position")
        assert [one["event_type"] for one in events] == [
            "tds.entity.create",
            "tds.entity.update",
            "tds.entity.delete",
        ]
        assert {one["aggregate_id"] for one in events} == {str(product["id"])}
        assert events[1]["data"]["changes"] == {"name": "Cable 2 m"}
        assert {one["status"] for one in await rows(database, LATEST)} == {"completed"}

    async def test_can_be_explained_from_the_source_id(self, database: Database) -> None:
        """P9: the ids of one row lead to the next."""
        await deliver(database, item("Cable", "2026-03-01T12:00:00+0300"))
        (found,) = await rows(
            database,
            "SELECT inbox.body, queue.outcome, trail.actor, entity.local_id, queue.target_entity_id"
            " FROM tds_entities AS entity"
            " JOIN tds_sync_queue AS queue ON queue.source_entity_id = entity.source_entity_id"
            " JOIN tds_inbox_events AS inbox ON inbox.id = queue.inbox_event_id"
            " JOIN tds_audit_trail AS trail ON trail.queue_id = queue.id WHERE entity.source_entity_id = :id",
            id=ITEM,
        )
        assert found["outcome"] == "created"
        assert found["local_id"] == found["target_entity_id"]
        assert b"Cable" in found["body"]

    async def test_that_cannot_be_understood_become_letters(self, database: Database) -> None:
        """P1: the bytes stay, the event says how it ended, and every error is named by field."""
        await deliver(database, b'{"item": {"item_id": "1", "name": null, "rate": "much"}}', b"\xff\x00")
        assert [one["status"] for one in await rows(database, LATEST)] == ["dead_letter", "dead_letter"]
        letters = await rows(database, "SELECT * FROM tds_dead_letter_queue ORDER BY arrival")
        assert all(letter["error_code"] and letter["errors"] for letter in letters)
        assert letters[0]["original_payload"]["item"]["rate"] == "much"
        errors = await value(database, "SELECT validation_errors FROM tds_inbox_events ORDER BY arrival LIMIT 1")
        assert {"name", "rate"} <= {str(error["field"]).rpartition(".")[2] for error in errors}

    async def test_reach_the_bus_after_their_commit_in_the_order_of_the_log(self, database: Database) -> None:
        """A subscriber hears of each once."""
        heard: list[Any] = []
        event_bus.subscribe("tds.entity.synced")(heard.append)
        await deliver(database, *(item(f"v{minute}", f"2026-03-01T12:0{minute}:00+0300") for minute in range(4)))
        await event_bus.drain(5)
        logged = await rows(database, "SELECT event_id FROM event_log ORDER BY position")
        assert [event.event_id for event in heard] == [one["event_id"] for one in logged]
        assert len(heard) == 4


class TestDuplicates:
    """The same bytes again."""

    async def test_have_no_effect_and_are_recorded(self, database: Database) -> None:
        """The second row says whose repeat it is."""
        first = await store(database, body("1", {"name": "a"}))
        second = await store(database, body("1", {"name": "a"}))
        assert (first.duplicate_of, second.duplicate_of) == (None, first.event_id)
        await validate(database)
        await drain(database)
        found = await rows(database, "SELECT id, status, duplicate_of FROM tds_inbox_events ORDER BY arrival")
        assert [(one["status"], one["duplicate_of"]) for one in found] == [
            ("completed", None),
            ("cancelled", first.event_id),
        ]
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 1
        assert await value(database, "SELECT deliveries FROM tds_dedupe_keys") == 2

    async def test_at_the_same_moment_are_told_apart(self, database: Database) -> None:
        """However many sessions store the same bytes at once, one is the first."""
        receipts = await asyncio.gather(*(store(database, body("1", {"name": "a"})) for _ in range(6)))
        assert sum(receipt.duplicate_of is None for receipt in receipts) == 1
        statuses = sorted(one["status"] for one in await rows(database, LATEST))
        assert statuses == ["cancelled"] * 5 + ["pending"]

    async def test_whose_first_was_rolled_back_are_none(self, database: Database) -> None:
        """What was never committed was never received."""
        async with database.session() as session:
            await inbox.receive(session, RawRecord(body=b"x"), source="zoho", headers={}, window=timedelta(hours=1))
            await session.rollback()
        assert (await store(database, b"x")).duplicate_of is None

    async def test_are_forgotten_after_their_window(self, database: Database) -> None:
        """Then the same bytes are a new event."""
        await store(database, b"x", window=-timedelta(hours=1))
        assert (await store(database, b"x")).duplicate_of is None
        assert (await store(database, b"x")).duplicate_of is not None

    async def test_of_another_source_are_none(self, database: Database) -> None:
        """Two organisations may send the same."""
        await store(database, b"x")
        assert (await store(database, b"x", source="other")).duplicate_of is None

    async def test_for_another_entity_are_none(self, database: Database) -> None:
        """P1: where the query names the entity, the bytes of two deletes may be the same."""
        one, other = (
            RawRecord(body=b"{}", entity_type=EntityType.PRODUCT, source_entity_id=name, operation=OperationType.DELETE)
            for name in "12"
        )
        await store(database, one)
        assert (await store(database, other)).duplicate_of is None

    async def test_keep_no_header_that_may_hold_a_secret(self, database: Database) -> None:
        """What is kept can be read by every viewer."""
        await store(database, b"x", headers={"authorization": "Bearer x", "cookie": "y", "content-type": "text/plain"})
        assert await value(database, "SELECT headers FROM tds_inbox_events") == {"content-type": "text/plain"}


class TestValidateBatch:
    """One event's trouble is its own."""

    @pytest.mark.parametrize("text", ["crash", "nul \x00", "half a pair \ud83d"])
    async def test_a_mapping_that_crashes_costs_one_event(self, database: Database, text: str) -> None:
        """Whatever the error says, the event ends, and the next batch finds nothing."""
        await store(database, b"x")
        report = await validate(database, FakeSource(mapping_error=RuntimeError(text)))
        assert (report.queued, report.dead) == (0, 1)
        assert [one["status"] for one in await rows(database, LATEST)] == ["dead_letter"]

    @pytest.mark.parametrize("text", ["nul \x00", "half a pair \ud83d"])
    async def test_a_mapping_error_may_quote_the_body(self, database: Database, text: str) -> None:
        """A key of the body that no database can hold may be named as the field."""
        await store(database, b"x")
        error = MappingError([FieldError(f"item.{text}", f"{text} is unknown", "extra")])
        assert (await validate(database, FakeSource(mapping_error=error))).dead == 1

    @pytest.mark.parametrize("identifier", ["nul \x00", "half a pair \ud83d"])
    async def test_a_change_that_cannot_be_stored_fails_alone(self, database: Database, identifier: str) -> None:
        """P6: the others of its batch are queued."""
        for number in range(10):
            await store(database, body(f"{number}", {"name": "a"}))
        await store(database, body(identifier, {"name": "a"}))
        report = await validate(database)
        assert (report.queued, report.dead) == (10, 1)

    async def test_an_unknown_source_costs_its_own_events(self, database: Database) -> None:
        """Another source's go on."""
        await store(database, body("1", {"name": "a"}), source="other")
        await store(database, body("1", {"name": "a"}))
        assert (await validate(database)).queued == 1
        assert await value(database, "SELECT error_code FROM tds_dead_letter_queue") == "unknown_source"

    async def test_validators_at_once_take_each_event_once(self, database: Database) -> None:
        """What another holds is passed over, not waited for."""
        for number in range(40):
            await store(database, body(f"{number}", {"name": "a"}))
        reports = await asyncio.gather(*(validate(database, limit=10) for _ in range(5)))
        while (more := await validate(database)).taken:
            reports.append(more)
        assert sum(report.queued for report in reports) == 40
        assert await value(database, "SELECT count(DISTINCT inbox_event_id) FROM tds_sync_queue") == 40
        assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 40
