"""``tds pause``, ``tds resume``, ``tds pauses`` and ``tds sync list|show|cancel|resume``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Tds
from tests.unit.cli.test_commands import ZOHO

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("connected")]


def _json(tds: Tds, *arguments: str) -> Any:
    result = tds(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


class TestPause:
    """``tds pause`` and ``tds resume``."""

    def test_is_seen_until_it_ends(self, tds: Tds) -> None:
        """In its own list and on the one screen, with who, why and how to go on."""
        result = tds("pause", "zoho", "product", "--note", "stocktaking")
        assert result.exit_code == 0, result.stderr
        assert "tds resume zoho product" in result.stdout
        assert "stocktaking" in tds("pauses").stdout
        screen = tds("status").stdout
        assert "stocktaking" in screen
        assert "tds resume zoho product" in screen
        (seen,) = _json(tds, "status")["pauses"]
        assert (seen["mode"], seen["created_by"].endswith("(tds)")) == ("pause", True)
        assert _json(tds, "resume", "zoho", "product") == {"source": "zoho", "entity_type": "product", "awake": 0}
        assert tds("pauses").stdout == "Nothing is paused.\n"
        assert "stocktaking" not in tds("status").stdout

    def test_drains_all_of_a_source(self, tds: Tds) -> None:
        """Without an entity, all are meant."""
        made = _json(tds, "pause", "zoho", "--drain")
        assert (made["entity_type"], made["mode"]) == ("*", "drain")
        assert "draining" in tds("pauses").stdout

    def test_says_what_is_still_paused(self, tds: Tds) -> None:
        """Who resumes one of two pauses is told of the other."""
        tds("pause", "zoho")
        tds("pause", "zoho", "product")
        result = tds("resume", "zoho", "product")
        assert (result.exit_code, "tds resume zoho" in result.stderr) == (0, True)

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["pause", "shop"], "there is: zoho"),
            (["pause", "zoho", "prodct"], "no entity type"),
            (["resume", "zoho"], "not paused"),
        ],
        ids=str,
    )
    def test_refuses_what_there_is_not(self, tds: Tds, arguments: list[str], said: str) -> None:
        """One line and exit 1."""
        result = tds(*arguments)
        assert (result.exit_code, said in result.stderr) == (1, True), result.stderr


class TestRuns:
    """``tds sync list|show|cancel|resume``."""

    @pytest.fixture
    def asked(self, tds: Tds, monkeypatch: pytest.MonkeyPatch) -> str:
        """The id of a run that waits for a worker."""
        for name, value in ZOHO.items():
            monkeypatch.setenv(name, value)
        return _json(tds, "sync", "run", "zoho", "--entity", "product", "--full")["runs"][0]["id"]

    def test_lists_and_shows(self, tds: Tds, asked: str) -> None:
        """Found by a part of its id, with what can be done about it."""
        assert [one["id"] for one in _json(tds, "sync", "list", "--status", "pending")] == [asked]
        assert _json(tds, "sync", "list", "--entity", "customer") == []
        assert asked[-8:] in tds("sync", "list").stdout
        assert f"tds sync cancel {asked[-8:]}" in tds("sync", "show", asked[-8:]).stdout
        assert _json(tds, "sync", "show", asked)["eta_seconds"] is None

    def test_cancels_and_resumes(self, tds: Tds, asked: str) -> None:
        """A cancelled run can go on; one that waits cannot be resumed."""
        assert tds("sync", "resume", asked).exit_code == 1
        cancelled = _json(tds, "sync", "cancel", asked)
        assert (cancelled["status"], "(tds)" in cancelled["error"]) == ("cancelled", True)
        assert f"tds sync resume {asked[-8:]}" in tds("sync", "show", asked).stdout
        result = tds("sync", "resume", asked)
        assert (result.exit_code, "No worker is running" in result.stderr) == (0, True)
        assert _json(tds, "sync", "show", asked)["status"] == "pending"

    def test_refuses_what_there_is_not(self, tds: Tds) -> None:
        """An unknown state is wrong usage, an unknown run a failure."""
        assert tds("sync", "list", "--status", "paused").exit_code == 2
        assert tds("sync", "show", "3f9a01cc").exit_code == 1
