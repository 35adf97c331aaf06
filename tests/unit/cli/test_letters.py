"""``tds dead-letter``: mend, try, and deal with many at once; ``tds job``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Generator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import text

from app.cli.failures import UsageError
from app.cli.letter_filters import span
from app.core.config import DatabaseSettings, QueueSettings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.tds.workers.jobs import JobRunner
from tests.support.pipeline import change, drain, enqueue
from tests.unit.cli.conftest import Tds

pytestmark = pytest.mark.integration

AMOUNT = 5
BEAT = text("""
    INSERT INTO tds_workers (id, host, pid, version, state) VALUES ('w', 'h', 1, '1', 'idle')
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()
""")


def _json(tds: Tds, *arguments: str) -> Any:
    result = tds(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def buried(connected: str) -> str:
    """A database with five products without a name that were given up, and one with a name that is no number."""

    async def bury() -> None:
        database = Database(connected, DatabaseSettings())
        await enqueue(database, *(change(f"{n}", {"sku": f"s{n}"}, minutes=1) for n in range(AMOUNT)))
        await enqueue(database, change("other", {"name": 1}))
        await drain(database)
        await database.dispose()

    asyncio.run(bury())
    return connected


@pytest.fixture
def working(buried: str) -> Generator[None]:
    """A worker process's loop for jobs, in a thread."""
    stop = Event()

    async def work() -> None:
        database = Database(buried, DatabaseSettings())
        bell = Doorbell(database)
        runner = JobRunner(database, {}, bell, QueueSettings(), "w")
        async with database.transaction() as session:
            await session.execute(BEAT)
        while not stop.is_set():
            if not await runner.step():
                await asyncio.sleep(0.02)
        await bell.close()
        await database.dispose()

    thread = Thread(target=lambda: asyncio.run(work()))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def letter(tds: Tds, buried: str) -> str:
    """The id of one letter, of a product without a name."""
    assert buried
    return _json(tds, "dead-letter", "list", "--error-code", "incomplete_document")[0]["id"]


@pytest.mark.usefixtures("buried")
class TestList:
    """``tds dead-letter list`` and ``groups``."""

    def test_filters(self, tds: Tds) -> None:
        """By code, by words, by age; several together."""
        for arguments, amount in (
            (["--error-code", "incomplete_document"], AMOUNT),
            (["--text", "NEEDED TO create"], AMOUNT),
            (["--text", "needed", "--source", "shop"], 0),
            (["--older-than", "1d"], 0),
            (["--newer-than", "1h"], AMOUNT + 1),
        ):
            assert len(_json(tds, "dead-letter", "list", *arguments)) == amount, arguments

    def test_says_how_many_it_does_not_show(self, tds: Tds) -> None:
        """A list that was cut must not look whole."""
        assert f"and {AMOUNT - 1} more" in tds("dead-letter", "list", "--limit", "2").stdout

    def test_refuses_a_span_that_is_none(self, tds: Tds) -> None:
        """Wrong usage, with an example."""
        result = tds("dead-letter", "list", "--older-than", "yesterday")
        assert (result.exit_code, "such as 2h" in result.stderr) == (2, True)

    def test_groups_what_failed_alike(self, tds: Tds) -> None:
        """The largest first, and the command that mends a group."""
        found = _json(tds, "dead-letter", "groups")
        assert [one["count"] for one in found] == [AMOUNT, 1]
        assert f"--fingerprint {found[0]['fingerprint']}" in tds("dead-letter", "groups").stdout


class TestDryRun:
    """``tds dead-letter dry-run``."""

    def test_shows_each_field_that_would_change(self, tds: Tds, letter: str, tmp_path: Path) -> None:
        """And says that nothing was changed."""
        mended = tmp_path / "mended.json"
        mended.write_text('{"name": "Mended", "price": "12.50"}', encoding="utf-8")
        result = tds("dead-letter", "dry-run", letter, "--payload", str(mended))
        assert result.exit_code == 0, result.stderr
        assert "it would be created" in result.stdout
        assert "Mended" in result.stdout
        assert "Nothing was changed." in result.stdout
        told = _json(tds, "dead-letter", "dry-run", letter, "--payload", str(mended))
        assert (told["outcome"], told["after"]["price"]) == ("created", "12.5")
        assert _json(tds, "status")["entities"][0]["synced"] == 0

    def test_says_why_it_would_die_again(self, tds: Tds, letter: str) -> None:
        """By field, and points to the editor."""
        result = tds("dead-letter", "dry-run", letter)
        assert "given up again" in result.stdout
        assert "incomplete_document" in result.stdout
        assert "tds dead-letter edit" in result.stdout


class TestEdit:
    """``tds dead-letter edit``."""

    def test_keeps_what_a_file_holds(self, tds: Tds, letter: str) -> None:
        """It is not queued; what is still wrong with it is told."""
        result = tds("dead-letter", "edit", letter, "--payload", "-", given='{"name": "A", "price": "much"}')
        assert result.exit_code == 0, result.stderr
        assert "price" in result.stdout
        seen = _json(tds, "dead-letter", "show", letter)
        assert seen["last_payload"] == {"name": "A", "price": "much"}
        assert "price" not in seen["original_payload"]
        assert not seen["resolved"]

    def test_opens_the_users_editor(self, tds: Tds, letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the document, and keeps what it left."""
        mend = "import json,sys; d=json.load(open(sys.argv[1])); d['name']='B'; json.dump(d, open(sys.argv[1],'w'))"
        monkeypatch.setenv("VISUAL", f'{sys.executable} -c "{mend}"')
        assert _json(tds, "dead-letter", "edit", letter)["last_payload"]["name"] == "B"

    def test_needs_an_editor_or_a_file(self, tds: Tds, letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both ways out are named."""
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.delenv("EDITOR", raising=False)
        result = tds("dead-letter", "edit", letter)
        assert (result.exit_code, "--payload" in result.stderr) == (2, True)

    def test_of_a_closed_letter_is_refused(self, tds: Tds, letter: str) -> None:
        """Before an editor is opened."""
        tds("dead-letter", "resolve", letter, "--note", "x")
        assert tds("dead-letter", "edit", letter, "--payload", "-", given="{}").exit_code == 2


@pytest.mark.usefixtures("buried")
class TestAllMatching:
    """``--all-matching``."""

    @pytest.mark.usefixtures("working")
    def test_shows_the_count_asks_and_follows(self, tds: Tds) -> None:
        """To the end of the job, which the workers carry out."""
        result = tds(
            *("dead-letter", "resolve", "--all-matching", "--error-code", "incomplete_document", "--note", "tests"),
            given="y\n",
        )
        assert result.exit_code == 0, result.stderr
        assert f"Resolve {AMOUNT} dead letters?" in result.output
        assert f"{AMOUNT} of {AMOUNT} done, 0 failed" in result.stdout
        assert len(_json(tds, "dead-letter", "list")) == 1

    @pytest.mark.usefixtures("working")
    def test_ends_with_1_if_a_letter_failed(self, tds: Tds) -> None:
        """A document that does not validate stays a dead letter, and the newest error is told."""
        result = tds("dead-letter", "reprocess", "--all-matching", "--error-code", "invalid_document", "--yes")
        assert result.exit_code == 1
        assert "1 failed" in result.stdout
        assert "newest error" in result.stdout

    def test_does_nothing_without_consent(self, tds: Tds) -> None:
        """No, the end of the input, and JSON without --yes: nothing is asked of the workers."""
        command = ("dead-letter", "reprocess", "--all-matching")
        for given in ("n\n", ""):
            assert tds(*command, given=given).exit_code == 1
        assert tds(*command, "--json").exit_code == 2
        assert _json(tds, "job", "list") == []

    def test_does_not_wait_for_a_worker_that_is_not_there(self, tds: Tds) -> None:
        """It says so; the job waits, can be looked at, and can be cancelled once."""
        result = tds("dead-letter", "reprocess", "--all-matching", "--yes", "--json")
        assert result.exit_code == 0, result.stderr
        assert "No worker is running" in result.stderr
        job = json.loads(result.stdout)["id"]
        assert "Jobs" in tds("status").stdout
        assert "all that were open" in tds("job", "show", job[-8:]).stdout
        assert _json(tds, "job", "cancel", job)["status"] == "cancelled"
        assert tds("job", "cancel", job).exit_code == 1
        assert _json(tds, "job", "list", "--open") == []
        assert len(_json(tds, "job", "list")) == 1

    def test_of_nothing_asks_nothing(self, tds: Tds) -> None:
        """No letter matches: that is told, and is no failure."""
        result = tds("dead-letter", "reprocess", "--all-matching", "--entity", "customer")
        assert (result.exit_code, result.stdout) == (0, "No open dead letter matches.\n")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["reprocess"],
            ["reprocess", "--entity", "product"],
            ["reprocess", "3f9a01cc", "--all-matching"],
            ["reprocess", "3f9a01cc", "--entity", "product"],
            ["reprocess", "--all-matching", "--payload", "x.json"],
            ["resolve", "--note", "x"],
        ],
        ids=" ".join,
    )
    def test_refuses_what_could_be_meant_in_two_ways(self, tds: Tds, arguments: list[str]) -> None:
        """One letter or all that match: never by an oversight."""
        assert tds("dead-letter", *arguments).exit_code == 2


class TestJob:
    """``tds job``."""

    def test_of_an_unknown_id_says_so(self, tds: Tds, connected: str) -> None:
        """One line, and what there is."""
        assert connected
        result = tds("job", "show", "3f9a01cc")
        assert (result.exit_code, "tds job list" in result.stderr) == (1, True)

    @pytest.mark.usefixtures("working")
    def test_can_be_waited_for(self, tds: Tds) -> None:
        """Asked for without waiting, and followed later."""
        arguments = ("--all-matching", "--error-code", "incomplete_document", "--yes", "--no-wait")
        job = _json(tds, "dead-letter", "resolve", *arguments, "--note", "x")["id"]
        assert _json(tds, "job", "show", job, "--wait")["succeeded"] == AMOUNT


class TestSpan:
    """``span``."""

    @pytest.mark.parametrize(("given", "seconds"), [("90s", 90), ("30 min", 1_800), ("2h", 7_200), ("1w", 604_800)])
    def test_reads_a_number_and_a_unit(self, given: str, seconds: int) -> None:
        """With or without a space."""
        assert span(given).total_seconds() == seconds

    @pytest.mark.parametrize("given", ["", "2", "h", "-1h", "1y", "1h30"])
    def test_refuses_all_else(self, given: str) -> None:
        """A span that is misread would choose the wrong letters."""
        with pytest.raises(UsageError):
            span(given)
