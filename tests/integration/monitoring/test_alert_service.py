"""What a person does to alerts, and what the monitor makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.core.config import AlertSettings
from app.core.database import Database
from app.core.epochs import VIEWS, EpochReader
from app.core.errors import InvalidError
from app.core.ids import new_id
from app.tds.monitoring import evaluation
from app.tds.monitoring.alerts import AlertEndedError, AlertNotFoundError, AlertService
from app.tds.monitoring.monitor import Monitor
from app.tds.monitoring.rules import Reading, judge
from tests.integration.monitoring.conftest import alerts, fired, told, watching
from tests.support.pipeline import execute, rows, value

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]

SETTINGS = AlertSettings()
LONG = Reading(waiting=10_001)
BETWEEN = Reading(waiting=9_000)
SHORT = Reading(waiting=0)


async def look(database: Database, *readings: Reading) -> None:
    """Evaluate readings, one after the other, each in a transaction as a leader would, whoever that is."""
    for reading in readings:
        async with database.transaction() as session:
            await evaluation.write(session, judge(reading, SETTINGS), rounds=SETTINGS.resolve_rounds)


async def backlog(database: Database) -> dict[str, Any]:
    """An active alert."""
    await look(database, LONG)
    (alert,) = await alerts(database, "queue_backlog")
    return alert


async def epoch(database: Database) -> int:
    """How often all that people see was made stale."""
    return (await EpochReader(database).current()).get(VIEWS, 0)


class TestAcknowledge:
    """Somebody takes care of it."""

    async def test_alert_shows_who_when_and_why(self, database: Database) -> None:
        """With an audit row, and every cached answer stale."""
        alert, before = await backlog(database), await epoch(database)
        async with database.session() as session:
            shown = await AlertService(session).acknowledge(alert["id"], " on it ", "ann")
        (row,) = await alerts(database, "queue_backlog")
        assert (shown.acknowledged_by, row["acknowledged_by"], row["acknowledgement_note"]) == ("ann", "ann", "on it")
        assert row["acknowledged_at"] is not None
        assert row["is_active"]
        assert await epoch(database) == before + 1
        audit = await rows(database, "SELECT actor, entity_id, after, change_source FROM tds_audit_trail")
        after = {"rule": "queue_backlog", "subject": "", "acknowledged": True, "note": "on it"}
        expected = {"actor": "ann", "entity_id": str(alert["id"]), "after": after, "change_source": "manual"}
        assert audit == [expected]

    async def test_alert_stays_with_the_first_who_did(self, database: Database) -> None:
        """A second tap changes nothing and leaves no trace."""
        alert = await backlog(database)
        async with database.session() as session:
            await AlertService(session).acknowledge(alert["id"], None, "ann")
            again = await AlertService(session).acknowledge(str(alert["id"]), "me too", "bob")
        assert (again.acknowledged_by, again.acknowledgement_note) == ("ann", None)
        assert await value(database, "SELECT count(*) FROM tds_audit_trail") == 1

    async def test_alert_stays_acknowledged_while_the_monitor_goes_on(self, database: Database) -> None:
        """Its value is brought up to date, nobody is told, no answer is made stale."""
        alert = await backlog(database)
        async with database.session() as session:
            await AlertService(session).acknowledge(alert["id"], None, "ann")
        before = await epoch(database)
        await look(database, Reading(waiting=12_000))
        (row,) = await alerts(database, "queue_backlog")
        assert (row["acknowledged"], row["value"]) == (True, 12_000)
        assert await epoch(database) == before
        assert await told(database, alert) == ["tds.alert.triggered"]

    async def test_refuses_what_is_over_or_never_was(self, database: Database) -> None:
        """An unknown id, one that is none, and a resolved alert."""
        alert = await backlog(database)
        await look(database, SHORT, SHORT)
        async with database.session() as session:
            service = AlertService(session)
            with pytest.raises(AlertEndedError):
                await service.acknowledge(alert["id"], None, "ann")
            for identifier in (new_id(), "no-id", ""):
                with pytest.raises(AlertNotFoundError):
                    await service.acknowledge(identifier, None, "ann")
                with pytest.raises(AlertNotFoundError):
                    await service.get(identifier)

    @pytest.mark.parametrize("note", ["x" * 2_001, "a\x00b", "\ud800"])
    async def test_refuses_notes_that_cannot_be_kept(self, database: Database, note: str) -> None:
        """Too long, NUL, half a character; nothing happened."""
        alert = await backlog(database)
        async with database.session() as session:
            for action in (AlertService(session).acknowledge, AlertService(session).resolve):
                with pytest.raises(InvalidError):
                    await action(alert["id"], note, "ann")
        (row,) = await alerts(database, "queue_backlog")
        assert (row["acknowledged"], row["is_active"]) == (False, True)

    async def test_is_undone_with_the_callers_transaction(self, database: Database) -> None:
        """Joined: the caller commits, or does not."""
        alert = await backlog(database)
        async with database.session() as session, session.begin() as outer:
            await AlertService(session).acknowledge(alert["id"], None, "ann")
            await outer.rollback()
        (row,) = await alerts(database, "queue_backlog")
        assert not row["acknowledged"]


class TestResolve:
    """Somebody declares it over."""

    async def test_alert_is_over_and_says_by_whom(self, database: Database) -> None:
        """With event, audit row and epoch."""
        alert, before = await backlog(database), await epoch(database)
        async with database.session() as session:
            await AlertService(session).resolve(alert["id"], "we know", "ann")
        (row,) = await alerts(database, "queue_backlog")
        assert (row["is_active"], row["resolved_by"], row["resolution_note"]) == (False, "ann", "we know")
        assert await told(database, alert) == ["tds.alert.triggered", "tds.alert.resolved"]
        assert await epoch(database) == before + 1
        assert await value(database, "SELECT data ->> 'resolved_by' FROM event_log ORDER BY position DESC") == "ann"
        assert await value(database, "SELECT actor FROM tds_audit_trail") == "ann"

    async def test_alert_does_not_come_back_while_what_it_tells_of_lasts(self, database: Database) -> None:
        """Once that has ended and begins again, it is news."""
        alert = await backlog(database)
        async with database.session() as session:
            await AlertService(session).resolve(alert["id"], None, "ann")
            again = await AlertService(session).resolve(alert["id"], None, "bob")
        assert again.resolved_by == "ann"
        await look(database, LONG, BETWEEN, LONG, SHORT, LONG)
        assert len(await alerts(database, "queue_backlog")) == 1
        await look(database, SHORT, SHORT, LONG)
        first, second = await alerts(database, "queue_backlog")
        assert (first["id"], first["is_active"], second["is_active"]) == (alert["id"], False, True)


class TestHysteresis:
    """An alert that hovers about its threshold does not flutter."""

    async def test_alert_lasts_until_it_was_calm_twice_in_a_row(self, database: Database) -> None:
        """Below 80 %; one calm look is not enough, and what comes between begins anew."""
        alert = await backlog(database)
        await look(database, SHORT, BETWEEN, SHORT, LONG, SHORT)
        (row,) = await alerts(database, "queue_backlog")
        assert (row["is_active"], row["calm_rounds"]) == (True, 1)
        before = await epoch(database)
        await look(database, SHORT)
        (row,) = await alerts(database, "queue_backlog")
        assert (row["is_active"], row["resolved_by"], row["id"]) == (False, None, alert["id"])
        assert await epoch(database) == before + 1

    async def test_alert_cannot_be_active_twice(self, database: Database) -> None:
        """The database itself refuses."""
        await backlog(database)
        with pytest.raises(IntegrityError):
            await execute(
                database,
                "INSERT INTO tds_alerts (id, rule, severity, title, message)"
                " VALUES (gen_random_uuid(), 'queue_backlog', 'error', '', '')",
            )


class TestFind:
    """Which alerts there are."""

    async def test_filters_and_pages(self, database: Database) -> None:
        """Active ones unless asked otherwise, newest first."""
        await look(database, LONG, SHORT, SHORT, Reading(waiting=10_001, new_letters=100))
        async with database.session() as session:
            service = AlertService(session)
            newest, older = await service.find()
            assert {newest.rule, older.rule} == {"queue_backlog", "dead_letter_growth"}
            assert newest.id > older.id
            assert [one.id for one in await service.find(before=newest.id)] == [older.id]
            assert [one.rule for one in await service.find(severity="warning")] == ["dead_letter_growth"]
            assert len(await service.find(active=None)) == 3
            (ended,) = await service.find(active=False)
            assert (ended.rule, ended.is_active) == ("queue_backlog", False)
            assert await service.find(rule="worker_failure") == []
            assert await service.find(acknowledged=True) == []
            assert await service.count_active() == {"error": 1, "warning": 1}
            assert (await service.get(newest.id)).id == newest.id

    async def test_refuses_what_makes_no_sense(self, database: Database) -> None:
        """An unknown severity, a limit that is none."""
        async with database.session() as session:
            for wrong in ({"severity": "grave"}, {"limit": 0}, {"limit": 501}):
                with pytest.raises(InvalidError):
                    await AlertService(session).find(**wrong)  # pyright: ignore[reportArgumentType]


class TestLeader:
    """One leads; whoever lost the lead writes nothing."""

    async def test_alert_is_left_alone_by_a_leader_that_was_frozen(self, database: Database) -> None:
        """Its lease was taken over while it looked away: no alert fires, and another leads by now."""
        frozen = Monitor(database, SETTINGS, name="frozen", grace_seconds=0)
        await frozen.step()
        assert frozen.leads
        await execute(
            database,
            "INSERT INTO tds_inbox_events (id, source, body, content_hash, signature)"
            " SELECT gen_random_uuid(), 'zoho', '', '', 'valid' FROM generate_series(1, 10001)",
        )
        await execute(database, "UPDATE locks SET holder = 'other', token = token + 1 WHERE name = 'monitor'")
        await frozen.step()
        assert not frozen.leads
        await frozen.step()
        assert not frozen.leads
        assert await alerts(database, "queue_backlog") == []

    async def test_alert_fires_under_the_next_leader(self, database: Database, database_url: str) -> None:
        """When the first has said goodbye."""
        first = Monitor(database, SETTINGS, name="first")
        await first.step()
        await first.release()
        await execute(
            database,
            "INSERT INTO tds_inbox_events (id, source, body, content_hash, signature)"
            " SELECT gen_random_uuid(), 'zoho', '', '', 'valid' FROM generate_series(1, 10001)",
        )
        async with watching(database_url):
            assert await fired(database, "queue_backlog")

    async def test_writes_are_refused_between_reading_and_writing(self, database: Database) -> None:
        """The fence itself: the lease is lost after the reading, and the write is not made."""
        await execute(
            database,
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " UPDATE locks SET token = token + 1 WHERE name = 'monitor'; RETURN NULL; END $$",
            "CREATE TRIGGER lose AFTER INSERT OR UPDATE ON tds_queue_samples EXECUTE FUNCTION lose()",
            "INSERT INTO tds_workers (id, host, pid, version, heartbeat_at)"
            " VALUES ('gone-1', 'h', 1, '1', now() - interval '1 hour')",
        )
        slow = Monitor(database, SETTINGS, name="slow", grace_seconds=0)
        await slow.step()
        assert not slow.leads
        assert await value(database, "SELECT count(*) FROM tds_alerts") == 0
        await execute(database, "DROP TRIGGER lose ON tds_queue_samples", "UPDATE locks SET expires_at = NULL")
        await slow.step()
        assert slow.leads
        assert await value(database, "SELECT subject FROM tds_alerts") == "gone"
