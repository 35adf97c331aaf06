"""The composition root on the embedded server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.bootstrap import open_runtime
from app.core.config import Settings
from tests.support.postgres import temporary_home

pytestmark = pytest.mark.integration


@pytest.fixture
def home() -> Generator[Path]:
    """A home of the test's own."""
    home = temporary_home()
    yield home
    shutil.rmtree(home, ignore_errors=True)


class TestOpenRuntime:
    """A process and the database it brings along."""

    async def test_the_embedded_server_comes_back_when_it_was_killed(self, home: Path) -> None:
        """P7: nobody has to run a command; the process that uses it starts it again."""
        async with open_runtime(Settings.load(home=home)) as runtime:
            postmaster = int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(postmaster, signal.SIGKILL)
            async with asyncio.timeout(60):
                while True:
                    try:
                        async with runtime.database.session() as session:
                            now = await session.scalar(text("SELECT pg_postmaster_start_time() IS NOT NULL"))
                    except (DBAPIError, OSError):
                        await asyncio.sleep(0.1)
                        continue
                    if int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0]) != postmaster:
                        break
            assert now is True
