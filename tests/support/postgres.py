"""A PostgreSQL for the tests of one run.

``TDS_TEST_DATABASE_URL`` names a server whose role may create databases; without it the run has an embedded
server of its own in a temporary home, shared by all pytest-xdist workers and gone at the end. It runs
without fsync: what tests write need not survive a power cut.

A run makes each template once, whichever worker comes first, and clones it for every test that wants a
database. All names begin with the run's, so that runs beside each other do not meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from app.core.embedded import EmbeddedPostgres, EmbeddedPostgresError

__all__ = [
    "FAST",
    "HOME_VARIABLE",
    "RUN_VARIABLE",
    "URL_VARIABLE",
    "TestServer",
    "begin_run",
    "end_run",
    "temporary_home",
    "test_server",
]

URL_VARIABLE: Final = "TDS_TEST_DATABASE_URL"
RUN_VARIABLE: Final = "TDS_TEST_RUN"
HOME_VARIABLE: Final = "TDS_TEST_HOME"
FAST: Final = {"fsync": "off", "full_page_writes": "off"}

T = TypeVar("T")


class TestServer:
    """Databases for tests on one server. Its calls block, and may be made inside and outside of an event loop.

    Measured on two cores: without fsync a file copy takes 9 ms and its drop 4, through the log 13 and 20 (in
    bulk); with fsync 110 against 55.
    """

    __test__ = False

    def __init__(self, url: str, run: str, *, strategy: str) -> None:
        self._admin_url = _with_scheme(url, "postgresql")
        self._prefix = f"tds_test_{run}_"
        self._strategy = strategy

    def create_template(self, name: str, migrate: Callable[[str], None]) -> str:
        """Make the template ``name`` by ``migrate(url)``, unless this run has it already; its full name."""
        full = self._prefix + name
        _run(self._create_template(full, migrate))
        return full

    def clone(self, template: str) -> str:
        """A new database like ``template``, a name that ``create_template`` returned; its URL."""
        return self._copy(template, f"{template}_{uuid4().hex[:12]}")

    def _copy(self, template: str, name: str) -> str:
        _run(self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY {self._strategy}'))
        return self.url(name)

    def create(self) -> str:
        """A new empty database; its URL."""
        return self._copy("template0", f"{self._prefix}{uuid4().hex[:12]}")

    def drop(self, database: str) -> None:
        """Drop a database, by its name or URL, and cut whoever is connected to it."""
        name = urlsplit(database).path.removeprefix("/") or database
        _run(self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))

    def drop_all(self) -> None:
        """Drop what this run has made."""
        _run(self._drop_all())

    def url(self, name: str) -> str:
        """The URL of the database ``name``, for SQLAlchemy with asyncpg."""
        return _with_scheme(urlunsplit(urlsplit(self._admin_url)._replace(path=f"/{name}")), "postgresql+asyncpg")

    async def _create_template(self, full: str, migrate: Callable[[str], None]) -> None:
        async with self._admin() as admin:
            await admin.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", full)
            if await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", full):
                return
            unfinished = f"{full}_unfinished"
            await admin.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
            await admin.execute(f'CREATE DATABASE "{unfinished}" TEMPLATE template0')
            await asyncio.to_thread(migrate, self.url(unfinished))
            await admin.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{full}"')
            await admin.execute(f'ALTER DATABASE "{full}" ALLOW_CONNECTIONS false')

    async def _drop_all(self) -> None:
        async with self._admin() as admin:
            rows = await admin.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", self._prefix)
            for row in rows:
                await admin.execute(f'DROP DATABASE IF EXISTS "{row["datname"]}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        async with self._admin() as admin:
            await admin.execute(statement)

    @asynccontextmanager
    async def _admin(self):  # noqa: ANN202 - asyncpg's connection is generic in its record class
        connection = await asyncpg.connect(self._admin_url)
        try:
            yield connection
        finally:
            await connection.close()


def begin_run() -> None:
    """Name this run, and its home, in the environment, which the workers inherit. Starts nothing."""
    os.environ[RUN_VARIABLE] = uuid4().hex[:8]
    if not os.environ.get(URL_VARIABLE):
        os.environ[HOME_VARIABLE] = str(temporary_home())


def end_run() -> None:
    """Remove what this run has made: its databases, or its whole server."""
    run, home = os.environ.pop(RUN_VARIABLE), os.environ.pop(HOME_VARIABLE, None)
    if home is None:
        TestServer(os.environ[URL_VARIABLE], run, strategy="WAL_LOG").drop_all()
        return
    if (Path(home) / "postgres").exists():
        # A worker that died left its server to the keeper: to come and go is to wait until it has ended.
        with contextlib.suppress(EmbeddedPostgresError), EmbeddedPostgres(Path(home), settings=FAST):
            pass
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def test_server() -> Generator[TestServer]:
    """The server of this run, started if no other worker uses it yet."""
    run, url = os.environ[RUN_VARIABLE], os.environ.get(URL_VARIABLE)
    if url:
        yield TestServer(url, run, strategy="WAL_LOG")
        return
    server = EmbeddedPostgres(Path(os.environ[HOME_VARIABLE]), settings=FAST)
    connection = server.start()
    try:
        yield TestServer(connection.url("postgres"), run, strategy="FILE_COPY")
    finally:
        server.stop_using()


test_server.__test__ = False  # pyright: ignore[reportFunctionMemberAccess] - pytest must not take it for a test


def temporary_home() -> Path:
    """A new folder for an embedded server, with a short path; under root its account may pass through it."""
    home = Path(tempfile.mkdtemp(prefix="tds-test-", dir="/tmp"))
    if os.geteuid() == 0:
        home.chmod(0o711)
    return home


def _with_scheme(url: str, scheme: str) -> str:
    return f"{scheme}://{url.partition('://')[2]}"


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run on a thread of its own: the caller's may have a running loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
