"""The demo empties its own database and no other."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text

from app.cli.demo.mark import DatabaseInUseError, NotTheDemosError, claim, is_marked
from app.core.config import DatabaseSettings
from app.core.database import Database
from app.migrations.runner import schema_status, upgrade_engine
from tests.unit.cli.conftest import Tds

pytestmark = pytest.mark.integration

INSERT = "INSERT INTO erp_products (id, name) VALUES (gen_random_uuid(), 'x')"


async def _execute(database: Database, statement: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text(statement))


async def _products(database: Database) -> int:
    async with database.session() as session:
        return await session.scalar(text("SELECT count(*) FROM erp_products")) or 0


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncGenerator[Database]:
    """A database without a table."""
    opened = Database(empty_database_url, DatabaseSettings())
    yield opened
    await opened.dispose()


class TestClaim:
    """``claim``."""

    async def test_marks_an_empty_database(self, empty: Database) -> None:
        """Nothing is in it, so nothing can be lost."""
        assert not await is_marked(empty)
        await claim(empty, "here", keep=False)
        assert await is_marked(empty)

    async def test_marks_tables_of_tds_without_rows(self, database: Database) -> None:
        """A look at the status makes them; that is no data."""
        await claim(database, "here", keep=False)
        assert await is_marked(database)
        assert (await schema_status(database.engine)).up_to_date

    async def test_refuses_data_of_tds(self, database: Database) -> None:
        """One row is enough, and it is still there afterwards."""
        await _execute(database, INSERT)
        with pytest.raises(NotTheDemosError, match=r"erp_products.*TDS_HOME"):
            await claim(database, "here", keep=False)
        assert not await is_marked(database)
        assert await _products(database) == 1

    @pytest.mark.parametrize("schema", ["public", "shop"])
    async def test_refuses_somebodys_tables_even_without_rows(self, empty: Database, schema: str) -> None:
        """In any schema: they would be dropped by the demo after the next."""
        await _execute(empty, f"CREATE SCHEMA IF NOT EXISTS {schema}")
        await _execute(empty, f"CREATE TABLE {schema}.orders (id int)")
        with pytest.raises(NotTheDemosError, match=f"{schema}.orders"):
            await claim(empty, "here", keep=False)

    async def test_empties_a_demos_database(self, empty: Database) -> None:
        """What bears the mark is made anew, and bears it still."""
        await claim(empty, "here", keep=False)
        await upgrade_engine(empty.engine)
        await _execute(empty, INSERT)
        await claim(empty, "here", keep=False)
        assert await is_marked(empty)
        assert (await schema_status(empty.engine)).current is None

    async def test_keeps_a_demos_data_if_asked_to(self, empty: Database) -> None:
        """With ``keep`` nothing is dropped."""
        await claim(empty, "here", keep=False)
        await upgrade_engine(empty.engine)
        await _execute(empty, INSERT)
        await claim(empty, "here", keep=True)
        assert await _products(empty) == 1

    async def test_refuses_to_empty_what_somebody_uses(self, empty: Database, empty_database_url: str) -> None:
        """A server that runs on it would lose its tables."""
        await claim(empty, "here", keep=False)
        other = Database(empty_database_url, DatabaseSettings())
        async with other.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(DatabaseInUseError, match="1 other connection"):
                await claim(empty, "here", keep=False)
        await other.dispose()


class TestDemo:
    """``tds demo`` itself."""

    def test_refuses_another_database_in_one_line(self, tds: Tds, filled: str) -> None:
        """Nothing is started, nothing is touched."""
        assert filled
        result = tds("demo", "--once")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("error: the database")
        assert "TDS_HOME" in result.stderr
        assert '"synced": 1' in tds("status", "--json").stdout
