"""The curl lines of the documents, run as they are printed, against a server that is a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.embedded import EmbeddedPostgres
from app.core.errors import TdsError
from app.core.models import CircuitBreaker
from app.main import create_app
from tests.e2e.conftest import Home
from tests.support.pipeline import change, drain, enqueue, value
from tests.support.views import add, alert, letter, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ROOT: Final = Path(__file__).parents[2]
TOKEN: Final = "tds_example_for_the_documents"
NEWEST: Final = {
    "RUN": "SELECT id FROM tds_sync_runs ORDER BY id DESC LIMIT 1",
    "ALERT": "SELECT id FROM tds_alerts WHERE is_active ORDER BY id DESC LIMIT 1",
    "LETTER": "SELECT id FROM tds_dead_letter_queue WHERE NOT resolved ORDER BY id DESC LIMIT 1",
    "JOB": "SELECT id FROM tds_jobs ORDER BY id DESC LIMIT 1",
    "PRODUCT": "SELECT source_entity_id FROM tds_entities WHERE entity_type = 'product' LIMIT 1",
    "BREAKER": "SELECT name FROM circuit_breakers LIMIT 1",
}
"""What a reader would copy from a list, at the moment when it is needed."""


def curl_lines(document: str) -> list[str]:
    """The commands of a document that ask the API."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith("    curl ") and "$TDS_TOKEN" in line]


def expected_status(line: str) -> str:
    """What the document says of a line: 202 where workers are asked for something."""
    begins = re.search(r'/(runs|reprocess|resume|bulk/resolve)"$', line)
    return "202" if begins and (" -d " in line or "-X POST" in line) else "200"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a shell, who follows a document."""

    url: str
    database_url: str
    folder: Path

    async def follow(self, document: str) -> dict[str, tuple[int, str, str]]:
        """Run its lines one after another; for each the exit code of curl, the HTTP status, and what was printed."""
        (self.folder / ".curlrc").write_text('max-time = 3\nwrite-out = "%{stderr}%{http_code}"\n')
        done: dict[str, tuple[int, str, str]] = {}
        for line in curl_lines(document):
            done[line] = self._run(line, await self._copied())
        return done

    async def _copied(self) -> dict[str, str]:
        async with opened(self.database_url) as database:
            found = {name: await value(database, sql) for name, sql in NEWEST.items()}
        return {name: str(one) for name, one in found.items()}

    def _run(self, line: str, copied: Mapping[str, str]) -> tuple[int, str, str]:
        environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(self.folder)}
        environment |= {"TDS_URL": self.url, "TDS_TOKEN": TOKEN, **copied}
        ran = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False)
        return ran.returncode, ran.stderr[-3:], ran.stdout


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Database]:
    """The server's database."""
    database = Database(url, DatabaseSettings(pool_size=2))
    try:
        yield database
    finally:
        await database.dispose()


async def fill(url: str) -> None:
    """A day's worth of everything: a product, a run, alerts, letters, a breaker."""
    async with opened(url) as database:
        await enqueue(database, change("zoho-1", {"name": "ماوس", "price": "12.50"}), change("zoho-2", {"sku": "s"}))
        await drain(database)
        letters = [letter(source_entity_id=f"zoho-{one}") for one in range(3, 6)]
        await add(database, *letters, alert(), alert(), run(entity_type="customer"), CircuitBreaker(name="zoho"))


@pytest.fixture
def reader(home: Home, tmp_path: Path) -> Generator[Reader]:
    """A reader, and a server with some data that asks nobody else for anything: it has no workers."""
    home.environment["TDS_SERVER_ADMIN_TOKEN"] = TOKEN
    with home.started("serve", "--port", "0", "--workers", "0") as server:
        line = server.wait_for(lambda line: "listens on" in line)
        postgres = EmbeddedPostgres(home.path)
        database_url = postgres.start().url("tds")
        try:
            asyncio.run(fill(database_url))
            yield Reader(line.split()[3].rstrip(","), database_url, tmp_path)
        finally:
            postgres.stop_using()
        assert server.end(signal.SIGTERM) == 0


class TestCurlLines:
    """Documents whose commands are meant to be copied."""

    def test_of_the_api_page_work_as_printed(self, reader: Reader) -> None:
        """Each is answered as the page says, in the page's order; the stream opens, and goes on until curl gives up."""
        done = asyncio.run(reader.follow("docs/api.md"))
        stream = next(line for line in done if "/stream?" in line)
        code, status, printed = done.pop(stream)
        assert (code, status) == (28, "200")
        assert "event: tds.stream.open" in printed
        wrong = {line: ran for line, ran in done.items() if ran[:2] != (0, expected_status(line))}
        assert wrong == {}
        assert len(done) > 30

    def test_of_the_readme_show_the_five_screens(self, reader: Reader) -> None:
        """Every one is JSON."""
        done = asyncio.run(reader.follow("README.md"))
        screens = [line.split("/api/bff/tds/")[1].split("?")[0].rstrip('"') for line in done]
        assert screens == ["dashboard", "runs", "entities", "alerts", "dead-letter"]
        assert [ran[:2] for ran in done.values()] == [(0, "200")] * 5
        answers: dict[str, Any] = {name: json.loads(ran[2]) for name, ran in zip(screens, done.values(), strict=True)}
        assert answers["entities"][0]["entity_type"] == "product"
        assert len(answers["alerts"]) == 2
        assert len(answers["dead-letter"]) == 4


def codes_of(kind: type[TdsError]) -> set[str]:
    """The stable names of an error and of all its kinds."""
    return {kind.code} | {code for one in kind.__subclasses__() for code in codes_of(one)}


def test_the_api_page_names_problems_that_there_are() -> None:
    """Every ``type`` in its table is one that the program can answer with."""
    assert create_app  # importing the application defines all its errors
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d{3} \| ([^|]+) \|", page, re.MULTILINE)
    named = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    of_http = {"not-found", "method-not-allowed", "invalid-request", "internal-error", "database-unavailable"}
    assert len(named) > 25
    assert named - codes_of(TdsError) - of_http == set()
