"""Dead letters: how they are worked on, and how they end by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.database import Database
from app.core.errors import InvalidError, NotFoundError
from app.tds.core.dead_letter_service import DeadLetterResolvedError, DeadLetterService
from app.tds.core.errors import MappingError
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.core.ports import Source
from tests.support.pipeline import (
    NOW,
    FakeSource,
    FakeTarget,
    body,
    change,
    drain,
    enqueue,
    rows,
    store,
    validate,
    value,
    worker,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
LETTERS = "SELECT * FROM tds_dead_letter_queue ORDER BY id"


async def letter(database: Database) -> dict[str, Any]:
    """The one letter."""
    (found,) = await rows(database, LETTERS)
    return found


async def bury(database: Database, minutes: float | None = 1, document: dict[str, Any] | None = None) -> Any:
    """A product that could not be applied: it has no name; its letter's id."""
    await enqueue(database, change("1", document or {"sku": "s"}, minutes=minutes))
    await drain(database)
    return (await letter(database))["id"]


class TestResolvedByANewerVersion:
    """A newer good version of the entity makes a letter pointless."""

    async def test_that_arrives_later(self, database: Database) -> None:
        """The usual case: the source was corrected."""
        await bury(database)
        await enqueue(database, change("1", {"name": "a"}, minutes=2))
        await drain(database)
        found = await letter(database)
        assert (found["resolved"], found["resolution"]) == (True, "superseded")
        types = [
            one["event_type"] for one in await rows(database, "SELECT event_type FROM event_log ORDER BY position")
        ]
        assert types[-1] == "tds.deadletter.resolved"

    async def test_in_the_same_batch(self, database: Database) -> None:
        """The letter is written and resolved in one transaction."""
        await enqueue(database, change("1", {"prise": 1}, minutes=1), change("1", {"name": "a"}, minutes=2))
        await drain(database)
        assert (await letter(database))["resolution"] == "superseded"

    async def test_that_arrived_before_and_was_applied_later(self, database: Database) -> None:
        """The newer version was waiting for its retry while the older one died."""
        (newer,) = await enqueue(database, change("1", {"name": "new"}, minutes=5))
        (older,) = await enqueue(database, change("1", {"prise": 1}, minutes=1))
        await worker(database).process_event(older)
        await worker(database).process_event(newer)
        assert (await letter(database))["resolution"] == "superseded"

    async def test_that_was_applied_before_the_letter_was_written(self, database: Database) -> None:
        """What is older than the ledger is superseded, whether or not it could have been applied."""
        await enqueue(database, change("1", {"name": "new"}, minutes=5))
        await drain(database)
        await enqueue(database, change("1", {"prise": 1}, minutes=1))
        await drain(database)
        assert await value(database, "SELECT count(*) FROM tds_dead_letter_queue WHERE NOT resolved") == 0

    async def test_but_not_by_an_older_one(self, database: Database) -> None:
        """Nor by one of another entity."""
        await bury(database, minutes=5)
        await enqueue(database, change("1", {"name": "a"}, minutes=4), change("2", {"name": "b"}, minutes=9))
        await drain(database)
        assert not (await letter(database))["resolved"]


class TestReprocess:
    """Queue a letter's change again."""

    async def test_with_a_better_document_is_applied_first(self, database: Database) -> None:
        """Priority 10, the version it had, and the original payload is kept."""
        letter_id = await bury(database)
        async with database.session() as session:
            item = await DeadLetterService(session).reprocess(letter_id, payload={"name": "a", "sku": "s"}, actor="ann")
        assert (item.priority, item.dead_letter_id, item.version_time) == (
            10,
            letter_id,
            change("", minutes=1).version_time,
        )
        await drain(database)
        assert await value(database, "SELECT name FROM erp_products") == "a"
        found = await letter(database)
        assert (found["resolution"], found["resolved_by"], found["reprocessed_as"]) == ("reprocessed", "ann", item.id)
        assert (found["original_payload"], found["last_payload"]) == ({"sku": "s"}, {"name": "a", "sku": "s"})
        assert item.outcome == "created"

    async def test_loses_against_what_has_been_applied_meanwhile(self, database: Database) -> None:
        """P3 holds for people too."""
        await enqueue(database, change("1", {"name": "old", "sku": "s"}, minutes=1))
        await drain(database, FakeTarget(rejecting={"1"}))
        letter_id = (await letter(database))["id"]
        async with database.session() as session:
            await DeadLetterService(session).reprocess(letter_id)
        await enqueue(database, change("1", {"name": "new"}, minutes=2))
        await drain(database)
        assert await value(database, "SELECT name FROM erp_products") == "new"

    @pytest.mark.parametrize("payload", [{"prise": 1}, {"name": "\x00"}, {"price": "much"}])
    async def test_refuses_a_document_that_would_only_die_again(
        self, database: Database, payload: dict[str, Any]
    ) -> None:
        """The letter stays as it is."""
        letter_id = await bury(database)
        async with database.session() as session:
            with pytest.raises(MappingError):
                await DeadLetterService(session).reprocess(letter_id, payload=payload)
        found = await letter(database)
        assert (found["resolved"], found["last_payload"]) == (False, {"sku": "s"})
        assert await value(database, "SELECT count(*) FROM tds_sync_queue") == 1

    async def test_opens_a_new_letter_when_it_dies_again(self, database: Database) -> None:
        """The old one stays resolved; there is one open letter."""
        letter_id = await bury(database)
        async with database.session() as session:
            await DeadLetterService(session).reprocess(letter_id)
        await drain(database, policy=NOW)
        found = await rows(database, LETTERS)
        assert [one["resolved"] for one in found] == [True, False]

    async def test_maps_the_raw_event_again(self, database: Database) -> None:
        """What was never understood may be now: the mapping was mended."""
        await store(database, body("1", {"name": "a"}, 1))
        await validate(database, FakeSource(mapping_error=RuntimeError("a bug")))
        mended: dict[str, Source] = {"zoho": FakeSource()}
        letter_id = (await letter(database))["id"]
        async with database.session() as session:
            await DeadLetterService(session, mended).reprocess(letter_id)
        await drain(database)
        assert await value(database, "SELECT name FROM erp_products") == "a"

    async def test_of_a_resolved_letter_is_refused(self, database: Database) -> None:
        """Once is enough."""
        letter_id = await bury(database)
        async with database.session() as session:
            service = DeadLetterService(session)
            await service.resolve(letter_id, note="known")
            with pytest.raises(DeadLetterResolvedError):
                await service.reprocess(letter_id)
            with pytest.raises(DeadLetterResolvedError):
                await service.resolve(letter_id, note="again")


class TestResolve:
    """Close a letter."""

    async def test_says_who_and_why(self, database: Database) -> None:
        """And tells subscribers."""
        letter_id = await bury(database)
        async with database.session() as session:
            await DeadLetterService(session).resolve(letter_id, note=" not ours ", actor="ann")
        found = await letter(database)
        assert (found["resolved_by"], found["resolution_notes"]) == ("ann", "not ours")
        assert await value(database, "SELECT event_type FROM event_log ORDER BY position DESC LIMIT 1") == (
            "tds.deadletter.resolved"
        )

    @pytest.mark.parametrize("note", ["", "  \n"])
    async def test_wants_a_note(self, database: Database, note: str) -> None:
        """Whoever looks later wants to know why."""
        letter_id = await bury(database)
        async with database.session() as session:
            with pytest.raises(InvalidError):
                await DeadLetterService(session).resolve(letter_id, note=note)

    async def test_of_an_unknown_letter_says_so(self, database: Database) -> None:
        """By an error of its own."""
        async with database.session() as session:
            with pytest.raises(NotFoundError):
                await DeadLetterService(session).resolve("00000000-0000-7000-8000-000000000000", note="x")


class TestFind:
    """Look for letters."""

    async def test_by_type_state_and_fingerprint(self, database: Database) -> None:
        """Open ones, newest first, unless asked otherwise."""
        await enqueue(
            database,
            change("1", {}),
            change("2", {}),
            change("3", {"prise": 1}),
            change("4", {}, entity_type="customer"),
        )
        await drain(database)
        async with database.session() as session:
            service = DeadLetterService(session)
            everything = await service.find()
            assert [one.id for one in everything] == sorted((one.id for one in everything), reverse=True)
            assert len(everything) == 4
            assert len(await service.find(LetterCriteria(entity_type="customer"))) == 1
            same = [one for one in everything if one.source_entity_id in {"1", "2"}]
            assert len({one.fingerprint for one in same}) == 1
            assert len(await service.find(LetterCriteria(fingerprint=same[0].fingerprint))) == 2
            await service.resolve(same[0].id, note="x")
            states = [LetterCriteria(resolved=state) for state in (False, True, None)]
            assert [len(await service.find(one)) for one in states] == [3, 1, 4]
            assert [await service.count(one) for one in states] == [3, 1, 4]
