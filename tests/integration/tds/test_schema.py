"""The schema: what migrations make, what models say, and what the database refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

import app.migrations
from app.core import models as kernel_models
from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.events import models as event_models
from app.core.ids import created_at_of, lower_bound, new_id
from app.core.orm import Base
from app.core.partitions import PARTITIONED, ensure_partitions
from app.erp import models as erp_models
from app.migrations.runner import schema_status, upgrade_engine
from app.tds import models as tds_models
from tests.support.pipeline import change, enqueue, execute, rows, value
from tests.support.postgres import TestServer

pytestmark = pytest.mark.integration
TABLES = (event_models, kernel_models, erp_models, tds_models)
CATALOG = """
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
           concat_ws(' ', data_type, is_nullable, column_default) AS text
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'storage', relname, array_to_string(reloptions, ', ') FROM pg_class
    WHERE reloptions IS NOT NULL AND relkind = 'r' AND relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'sequence', sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'
    ORDER BY 1, 2
"""
LETTER = """
    INSERT INTO tds_dead_letter_queue (id, source, entity_type, failure_reason, error_code, fingerprint, resolved)
    VALUES (gen_random_uuid(), 'zoho', 'product', '', '', '', true)
"""
CHECKS = """
    SELECT conrelid::regclass::text || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'c' AND connamespace = 'public'::regnamespace
      AND NOT conrelid::regclass::text ~ '_(default|\\d{4}_\\d\\d)$'
    ORDER BY 1
"""


def _downgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(app.migrations.__file__ or "").parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.downgrade(config, "base")


def _differences(connection: Connection) -> list[object]:
    partitions = {f"{table}_" for table in PARTITIONED}

    def ours(entity: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:  # noqa: FBT001 - alembic's signature
        del entity, other
        return not (kind == "table" and reflected and any((name or "").startswith(one) for one in partitions))

    context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
    return [
        one
        for one in compare_metadata(context, Base.metadata)
        if not (one[0] == "remove_table" and one[1].name == "alembic_version")
    ]


class TestMigrations:
    """What they make is what the models say."""

    @pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
    async def test_leave_nothing_to_generate(self, database: Database) -> None:
        """Tables, columns, types and indexes: no drift."""
        async with database.engine.connect() as connection:
            assert await connection.run_sync(_differences) == []

    async def test_make_the_checks_that_the_models_name(self, database: Database, database_server: TestServer) -> None:
        """Alembic does not look at CHECKs, so both ways are compared as the database sees them."""
        url = database_server.create()
        made = Database(url, DatabaseSettings())
        try:
            async with made.engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            named = [next(iter(row.values())) for row in await rows(made, CHECKS)]
        finally:
            await made.dispose()
            database_server.drop(url)
        migrated = [next(iter(row.values())) for row in await rows(database, CHECKS)]
        assert len(migrated) > 20
        assert migrated == named

    async def test_can_be_taken_back_and_run_again(self, database: Database) -> None:
        """Down to nothing, and up to the same schema."""
        before = await rows(database, CATALOG)
        async with database.engine.connect() as connection:
            await connection.run_sync(_downgrade)
            await connection.commit()
        left = await rows(database, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert {one["relname"] for one in left} == {"alembic_version", "alembic_version_pkc"}
        await upgrade_engine(database.engine)
        assert await rows(database, CATALOG) == before
        assert (await schema_status(database.engine)).up_to_date


class TestPartitions:
    """Monthly, made ahead, with a default."""

    async def test_are_made_once(self, database: Database) -> None:
        """The second call finds nothing to do."""
        async with database.engine.begin() as connection:
            assert await ensure_partitions(connection, datetime.now(UTC)) == []

    async def test_hold_their_month_and_the_default_the_rest(self, database: Database) -> None:
        """Yesterday's month has its own; last century goes to the default and is not refused."""
        await enqueue(database, change("now", {}), change("past", {}, id=lower_bound(datetime(1999, 1, 1, tzinfo=UTC))))
        now = created_at_of(new_id())
        found = {
            one["source_entity_id"]: one["partition"]
            for one in await rows(
                database, "SELECT source_entity_id, tableoid::regclass::text AS partition FROM tds_sync_queue"
            )
        }
        assert found == {"now": f"tds_sync_queue_{now:%Y_%m}", "past": "tds_sync_queue_default"}

    async def test_heal_when_rows_of_their_month_went_to_the_default(self, database: Database) -> None:
        """P7: a clock that was ahead once does not keep a month from ever getting its partition."""
        later = datetime(2031, 5, 10, tzinfo=UTC)
        await enqueue(database, change("ahead", {}, id=lower_bound(later)))
        async with database.engine.begin() as connection:
            await ensure_partitions(connection, later)
        found = "SELECT tableoid::regclass::text FROM tds_sync_queue"
        assert await value(database, found) == "tds_sync_queue_2031_05"

    async def test_of_one_table_that_cannot_be_made_stop_no_other(self, database: Database) -> None:
        """P7: the default takes that table's rows, and the next call tries again."""
        later = datetime(2031, 5, 10, tzinfo=UTC)
        await execute(database, "CREATE TABLE event_log_2031_05 ()")
        async with database.engine.begin() as connection:
            await ensure_partitions(connection, later)
        made = "SELECT count(*) FROM pg_inherits WHERE inhrelid::regclass::text LIKE '%\\_2031\\_05'"
        assert await value(database, made) == len(PARTITIONED) - 1
        await execute(database, "DROP TABLE event_log_2031_05")
        async with database.engine.begin() as connection:
            assert any("event_log_2031_05" in sql for sql in await ensure_partitions(connection, later))


class TestImpossibleStates:
    """What CHECKs refuse."""

    @pytest.mark.parametrize(
        "change_of_state",
        [
            "status = 'processing'",
            "status = 'completed'",
            "status = 'completed', completed_at = now()",
            "status = 'retry'",
            "status = 'queued'",
            "locked_by = 'w', lock_expires_at = now()",
            "lock_expires_at = now()",
            "next_retry_at = now()",
            "outcome = 'created'",
            "priority = 0",
            "priority = 11",
            "attempts = -1",
            "operation_type = 'merge'",
            "status = 'processing', locked_by = 'w'",
            "status = 'completed', completed_at = now(), outcome = 'guessed'",
            "status = 'dead_letter', completed_at = now(), outcome = 'created'",
        ],
    )
    async def test_of_queue_items(self, database: Database, change_of_state: str) -> None:
        """A lease if and only if processing, an end if and only if final."""
        await enqueue(database, change("1", {}))
        with pytest.raises(IntegrityError):
            await execute(database, f"UPDATE tds_sync_queue SET {change_of_state}")

    @pytest.mark.parametrize(
        "values",
        [
            "'processing', NULL, NULL, NULL, 1, 0, 0, 0",
            "'completed', NULL, NULL, NULL, 0, 0, 0, 0",
            "'failed', NULL, NULL, NULL, 0, 0, 0, 0",
            "'pending', NULL, 'w', now(), 0, 0, 0, 0",
            "'processing', NULL, 'w', NULL, 0, 0, 0, 0",
            "'processing', now(), NULL, NULL, 0, 0, 0, 0",
            "'queued', NULL, NULL, NULL, 0, 0, 0, 0",
        ],
    )
    async def test_of_runs(self, database: Database, values: str) -> None:
        """Counters add up; a lease only while processing."""
        with pytest.raises(IntegrityError):
            await execute(
                database,
                "INSERT INTO tds_sync_runs (id, run_type, source, entity_type, status, completed_at, locked_by,"
                " lock_expires_at, processed_events, successful_events, failed_events, skipped_events)"
                f" VALUES (gen_random_uuid(), 'zoho', 'zoho', 'product', {values})",
            )

    @pytest.mark.parametrize(
        "values",
        [
            "'retry', NULL, NULL",
            "'completed', NULL, NULL",
            "'pending', now(), NULL",
            "'pending', NULL, gen_random_uuid()",
        ],
    )
    async def test_of_inbox_events(self, database: Database, values: str) -> None:
        """An end if and only if final; a duplicate is cancelled."""
        with pytest.raises(IntegrityError):
            await execute(
                database,
                "INSERT INTO tds_inbox_events (id, source, body, content_hash, signature, status, completed_at,"
                f" duplicate_of) VALUES (gen_random_uuid(), 'zoho', '', '', 'valid', {values})",
            )

    async def test_of_letters_and_products(self, database: Database) -> None:
        """A resolved letter has its time; a product has a name."""
        async with database.session() as session:
            for sql in (
                LETTER,
                "INSERT INTO erp_products (id, name) VALUES (gen_random_uuid(), '')",
            ):
                with pytest.raises(IntegrityError):
                    await session.execute(text(sql))
                await session.rollback()
