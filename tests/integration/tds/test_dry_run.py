"""Dry runs and edits of dead letters: what would change is told, and nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import text

from app.core.database import Database
from app.core.errors import ConfigurationError, InvalidError
from app.core.events.event_bus import event_bus
from app.tds.core import pauses
from app.tds.core.apply import Applier
from app.tds.core.dead_letter_service import (
    DeadLetterResolvedError,
    DeadLetterService,
    LetterChangedError,
    revision,
)
from app.tds.core.dry_run import DryRun, EntityBusyError
from tests.support.pipeline import (
    NOW,
    FakeSource,
    FakeTarget,
    applier,
    body,
    change,
    drain,
    enqueue,
    rows,
    store,
    validate,
    value,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1
"""
CUSTOMER = {"name": "Branch", "parent_source_id": "head"}


async def everything(database: Database) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    async with database.transaction() as session:
        tables = (await session.execute(text(TABLES))).scalars().all()
        return {
            table: list((await session.execute(text(f'SELECT t::text FROM "{table}" AS t ORDER BY 1'))).scalars())
            for table in tables
        }


async def bury(database: Database, document: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """A change that was given up; its letter's id."""
    await enqueue(database, change("1", document or {"sku": "s"}, **{"minutes": 1, **more}))
    await drain(database, policy=NOW)
    return await value(database, "SELECT id FROM tds_dead_letter_queue ORDER BY id DESC LIMIT 1")


async def dry(database: Database, letter: Any, payload: Any = None, how: Applier | None = None) -> DryRun:
    """A dry run that must leave nothing behind, neither in a table nor on the bus."""
    before = await everything(database)
    told = len(event_bus.get_event_history(1_000))
    async with database.session() as session:
        result = await DeadLetterService(session, applier=how or applier()).dry_run(letter, payload)
        assert not session.in_transaction()
    assert await everything(database) == before
    assert len(event_bus.get_event_history(1_000)) == told
    return result


class TestDryRun:
    """What would become of a letter."""

    async def test_tells_what_would_be_created(self, database: Database) -> None:
        """The new row, by field."""
        letter = await bury(database)
        result = await dry(database, letter, {"name": "a", "sku": "s"})
        assert (result.outcome, result.before) == ("created", None)
        assert (result.after, list(result.changed)) == ({"name": "a", "sku": "s"}, ["name", "sku"])

    async def test_tells_what_would_be_updated(self, database: Database) -> None:
        """Only what differs, with the value that is here."""
        await enqueue(database, change("1", {"name": "old", "sku": "s", "price": "1"}, minutes=0))
        await drain(database)
        letter = await bury(database, {"prise": 1})
        result = await dry(database, letter, {"name": "new", "sku": "s", "price": "2.50"})
        assert result.outcome == "updated"
        assert result.local_id == str(await value(database, "SELECT id FROM erp_products"))
        assert (result.before, result.after) == ({"name": "old", "price": "1"}, {"name": "new", "price": "2.5"})

    async def test_tells_that_nothing_would_change(self, database: Database) -> None:
        """The same is here already."""
        await enqueue(database, change("1", {"name": "a"}, minutes=0))
        await drain(database)
        letter = await bury(database, {"prise": 1})
        assert (await dry(database, letter, {"name": "a"})).outcome == "unchanged"

    async def test_tells_that_something_newer_would_win(self, database: Database) -> None:
        """P3 holds for what is tried, too."""
        letter = await bury(database)
        await enqueue(database, change("1", {"name": "newer"}, minutes=9))
        await drain(database)
        assert (await dry(database, letter, {"name": "a"})).outcome == "superseded"

    async def test_tells_of_a_deletion(self, database: Database) -> None:
        """With the row as it is."""
        await enqueue(database, change("1", {"name": "a"}, minutes=0))
        await drain(database)
        await enqueue(database, change("1", None, minutes=1))
        await drain(database, FakeTarget(rejecting={"1"}))
        letter = await value(database, "SELECT id FROM tds_dead_letter_queue")
        result = await dry(database, letter)
        assert result.outcome == "deleted"
        assert result.before is not None
        assert result.before["name"] == "a"

    async def test_tells_why_it_would_die_again(self, database: Database) -> None:
        """What only the target knows, by field."""
        letter = await bury(database)
        result = await dry(database, letter)
        assert (result.outcome, result.code) == ("dead_letter", "incomplete_document")
        assert [one.field for one in result.errors] == ["name"]

    async def test_names_each_field_that_does_not_validate(self, database: Database) -> None:
        """Such a document would not even be queued."""
        letter = await bury(database)
        result = await dry(database, letter, {"name": "a", "price": "much", "colour": 1})
        assert result.outcome == "dead_letter"
        assert {one.field for one in result.errors} == {"price", "colour"}

    async def test_tells_of_an_error_of_the_target(self, database: Database) -> None:
        """An error that passes would be tried again."""
        letter = await bury(database)
        how = applier(FakeTarget(always={"1": RuntimeError("not today")}))
        result = await dry(database, letter, {"name": "a"}, how)
        assert (result.outcome, result.reason) == ("retry", "not today")

    async def test_tells_what_is_missing(self, database: Database) -> None:
        """A customer before its parent would wait."""
        letter = await bury(database, {"nmae": "x"}, entity_type="customer")
        result = await dry(database, letter, CUSTOMER)
        assert (result.outcome, result.code) == ("waits", "missing_parent")
        assert "head" in (result.reason or "")

    async def test_looks_through_a_pause(self, database: Database) -> None:
        """What would change is told all the same, and that it would have to wait."""
        letter = await bury(database)
        async with database.session() as session:
            await pauses.pause(session, source="zoho", entity_type="product", actor="ann")
        result = await dry(database, letter, {"name": "a"})
        assert (result.outcome, result.paused) == ("created", True)

    async def test_maps_a_raw_event_again(self, database: Database) -> None:
        """What was never understood is tried from its bytes."""
        await store(database, body("1", {"name": "a"}, 1))
        await validate(database, FakeSource(mapping_error=RuntimeError("a bug")))
        letter = await value(database, "SELECT id FROM tds_dead_letter_queue")
        outcomes: list[str] = []
        for source in (FakeSource(), FakeSource(mapping_error=RuntimeError("a bug"))):
            async with database.session() as session:
                service = DeadLetterService(session, {"zoho": source}, applier())
                outcomes.append((await service.dry_run(letter)).outcome)
        assert outcomes == ["created", "dead_letter"]

    async def test_rolls_back_to_where_its_caller_was(self, database: Database) -> None:
        """In a transaction of the caller's, what he wrote before stays his to commit, and his settings are his."""
        letter = await bury(database)
        timeout = text("SHOW lock_timeout")
        async with database.transaction() as session:
            service = DeadLetterService(session, applier=applier())
            usual = await session.scalar(timeout)
            await service.edit(letter, {"name": "mine"}, actor="ann")
            assert (await service.dry_run(letter)).outcome == "created"
            assert await session.scalar(timeout) == usual
        assert await value(database, "SELECT last_payload ->> 'name' FROM tds_dead_letter_queue") == "mine"
        assert await value(database, "SELECT count(*) FROM erp_products") == 0

    async def test_does_not_wait_long_for_a_worker(self, database: Database) -> None:
        """A person waits two seconds at most, and is told why; the transaction can go on."""
        letter = await bury(database)
        lock = text("SELECT 1 FROM tds_entities FOR UPDATE")
        async with database.transaction() as holder, database.transaction() as session:
            await holder.execute(lock)
            with pytest.raises(EntityBusyError):
                await DeadLetterService(session, applier=applier()).dry_run(letter, {"name": "a"})
            assert await session.scalar(text("SELECT 1")) == 1

    async def test_keeps_nobody_waiting_afterwards(self, database: Database) -> None:
        """Its locks end with it, also where the caller's transaction goes on."""
        letter = await bury(database)
        async with database.transaction() as session:
            await DeadLetterService(session, applier=applier()).dry_run(letter, {"name": "a"})
            await enqueue(database, change("1", {"name": "b"}, minutes=2))
            await drain(database)
        assert await value(database, "SELECT name FROM erp_products") == "b"

    async def test_needs_an_applier(self, database: Database) -> None:
        """It is the real apply or none."""
        letter = await bury(database)
        async with database.session() as session:
            with pytest.raises(ConfigurationError):
                await DeadLetterService(session).dry_run(letter)


class TestEdit:
    """Keep a mended document for later."""

    async def test_keeps_it_and_who_and_when(self, database: Database) -> None:
        """The payload as it came stays, nothing is queued, and the audit trail has before and after."""
        letter = await bury(database)
        async with database.session() as session:
            edited = await DeadLetterService(session).edit(letter, {"name": "a", "price": "1.50"}, actor="ann")
        assert edited.last_payload == {"name": "a", "price": "1.50"}
        assert edited.original_payload == {"sku": "s"}
        assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 1
        (audit,) = await rows(database, "SELECT * FROM tds_audit_trail")
        assert (audit["entity_type"], audit["entity_id"]) == ("dead_letter", str(letter))
        assert (audit["actor"], audit["change_source"]) == ("ann", "manual")
        assert audit["before"] == {"last_payload": {"sku": "s"}}
        assert audit["after"] == {"last_payload": {"name": "a", "price": "1.50"}}

    async def test_is_what_is_reprocessed_later(self, database: Database) -> None:
        """Without a payload of its own, reprocessing takes the edited one, also of what was never mapped."""
        await store(database, b'{"item": "?"}')
        await validate(database, FakeSource())
        letter = await value(database, "SELECT id FROM tds_dead_letter_queue")
        await rows(database, "UPDATE tds_dead_letter_queue SET entity_type='product', source_entity_id='7' RETURNING 1")
        async with database.session() as session:
            service = DeadLetterService(session)
            await service.edit(letter, {"name": "by hand"}, actor="ann")
            await service.reprocess(letter, actor="ann")
        await drain(database)
        assert await value(database, "SELECT name FROM erp_products") == "by hand"

    async def test_may_be_half_done(self, database: Database) -> None:
        """Work is kept as it is; what is wrong with it is told by ``validate``."""
        letter = await bury(database)
        async with database.session() as session:
            service = DeadLetterService(session)
            edited = await service.edit(letter, {"name": "", "price": "?"}, actor="ann")
            assert {one.field for one in service.validate(edited)} == {"name", "price"}
            assert service.validate(edited, {"name": "a"}) == []

    async def test_says_who_was_faster(self, database: Database) -> None:
        """By an edit, or by closing it."""
        letter = await bury(database)
        async with database.session() as session:
            service = DeadLetterService(session)
            begun = revision(await service.get(letter))
            await service.edit(letter, {"name": "bob's"}, actor="bob", expected=begun)
            with pytest.raises(LetterChangedError, match="bob has changed"):
                await service.edit(letter, {"name": "ann's"}, actor="ann", expected=begun)
            assert (await service.get(letter)).last_payload == {"name": "bob's"}
            begun = revision(await service.get(letter))
            await service.resolve(letter, note="x", actor="cem")
            with pytest.raises(LetterChangedError, match="cem has changed"):
                await service.edit(letter, {"name": "ann's"}, actor="ann", expected=begun)

    async def test_of_the_same_leaves_no_trace(self, database: Database) -> None:
        """Nothing was changed, so nothing is recorded."""
        letter = await bury(database)
        async with database.session() as session:
            await DeadLetterService(session).edit(letter, {"sku": "s"}, actor="ann")
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 0

    async def test_of_a_closed_letter_is_refused(self, database: Database) -> None:
        """It is history."""
        letter = await bury(database)
        async with database.session() as session:
            service = DeadLetterService(session)
            await service.resolve(letter, note="x")
            with pytest.raises(DeadLetterResolvedError):
                await service.edit(letter, {"name": "a"}, actor="ann")

    @pytest.mark.parametrize("payload", [{"name": "\x00"}, {"name": "\ud800"}, {"n": 2**70}, {"n": object()}])
    async def test_refuses_what_no_database_can_hold(self, database: Database, payload: dict[str, Any]) -> None:
        """A backslash and a u are no NUL, though."""
        letter = await bury(database)
        async with database.session() as session:
            service = DeadLetterService(session)
            with pytest.raises(InvalidError):
                await service.edit(letter, payload, actor="ann")
            edited = await service.edit(letter, {"name": r"C:\u0000"}, actor="ann")
        assert edited.last_payload == {"name": r"C:\u0000"}
