"""A real server in a process of its own, on a database with a bit of everything."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from app.core.config import DatabaseSettings
from app.core.database import Database
from tests.support.population import populate
from tests.support.postgres import TestServer
from tests.support.wire import TOKEN, Server

__all__ = ["populated", "served"]


@contextmanager
def populated(server: TestServer, template: str) -> Generator[str]:
    """A database with some rows in every table that is looked at; its URL."""
    url = server.clone(template)
    asyncio.run(_fill(url))
    yield url
    server.drop(url)


async def _fill(url: str) -> None:
    database = Database(url, DatabaseSettings())
    await populate(database)
    await database.dispose()


@contextmanager
def served(url: str, folder: Path, **environment: str) -> Generator[Server]:
    """The server, which ends cleanly; ``TOKEN`` is its admin's, and there is practically no limit of rate."""
    log = folder / "server.log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TDS_")}
    given = {
        "TDS_DATABASE_URL": url,
        "TDS_HOME": str(folder),
        "TDS_SERVER_ADMIN_TOKEN": TOKEN,
        "TDS_SERVER_RATE_PER_MINUTE": "1000000",
        "TDS_SERVER_RATE_BURST": "1000000",
        "TDS_ZOHO_WEBHOOK_SECRET": "examplesecret123",
    }
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serve"],
            env=inherited | given | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        port = process.stdout.readline()
        assert port, log.read_text(encoding="utf-8")
        yield Server(int(port), process, log)
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
