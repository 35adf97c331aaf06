"""The commands that look and steer, on a real database."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Tds

pytestmark = pytest.mark.integration

ZOHO = {
    "TDS_ZOHO_ACCOUNTS_URL": "http://127.0.0.1:1",
    "TDS_ZOHO_API_URL": "http://127.0.0.1:1",
    "TDS_ZOHO_ORGANIZATION_ID": "1",
    "TDS_ZOHO_CLIENT_ID": "1",
    "TDS_ZOHO_CLIENT_SECRET": "1",
    "TDS_ZOHO_REFRESH_TOKEN": "1",
}


def _json(tds: Tds, *arguments: str) -> Any:
    result = tds(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def _letter(tds: Tds) -> str:
    return _json(tds, "dead-letter", "list")[0]["id"]


@pytest.mark.usefixtures("filled")
class TestStatus:
    """``tds status``."""

    def test_prints_one_screen(self, tds: Tds) -> None:
        """Health first, then counts, then what to do."""
        result = tds("status")
        assert result.exit_code == 0
        assert result.stdout.startswith("● degraded")
        assert re.search(r"product +1 ", result.stdout)
        assert "tds dead-letter list" in result.stdout

    def test_prints_one_object_as_json(self, tds: Tds) -> None:
        """Nothing but JSON on standard output, and the same facts in it."""
        seen = _json(tds, "status")
        assert seen["health"] == "degraded"
        assert seen["queue"]["dead_letter"] == 1
        assert seen["entities"][0]["synced"] == 1
        assert len(seen["dead_letters"]) == 1
        assert seen["next"]


class TestStatusOfNothing:
    """``tds status`` before anything was done."""

    def test_says_how_to_begin(self, tds: Tds, connected: str) -> None:
        """An empty database is healthy, and the next step is named."""
        assert connected
        result = tds("status")
        assert result.stdout.startswith("● healthy")
        assert "TDS_ZOHO_CLIENT_ID" in result.stdout
        assert "tds demo" in result.stdout


@pytest.mark.usefixtures("filled")
class TestShow:
    """``tds show``."""

    @pytest.mark.parametrize("identifier", ["4711", "HDM-01"])
    def test_finds_by_source_id_and_sku(self, tds: Tds, identifier: str) -> None:
        """Row, changes and events of one product."""
        result = tds("show", "product", identifier)
        assert result.exit_code == 0, result.stderr
        assert "HDMI Cable 3m" in result.stdout
        assert "price: 12500 -> 12750" in result.stdout
        assert "tds.entity.update" in result.stdout

    def test_finds_by_local_id(self, tds: Tds) -> None:
        """The id that the ERP knows leads to the same."""
        found = _json(tds, "show", "product", "4711")
        again = _json(tds, "show", "product", found["ledger"]["local_id"])
        assert again["ledger"]["source_entity_id"] == "4711"
        assert again["row"]["price"] == "12750.000000"
        assert [row["operation"] for row in again["audit"]] == ["update", "create"]

    def test_shows_what_was_never_applied(self, tds: Tds) -> None:
        """A product that only ever failed has its dead letter shown."""
        result = tds("show", "product", "4712")
        assert result.stdout.startswith("● not in step")
        assert "Dead letters" in result.stdout

    def test_refuses_what_nobody_knows(self, tds: Tds) -> None:
        """One line and exit 1."""
        result = tds("show", "customer", "4711")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: there is no customer")


@pytest.mark.usefixtures("filled")
class TestDeadLetter:
    """``tds dead-letter``."""

    def test_lists_open_ones(self, tds: Tds) -> None:
        """With the reason, and how to look closer."""
        result = tds("dead-letter", "list")
        assert "4712" in result.stdout
        assert "name: " in result.stdout
        assert "tds dead-letter show" in result.stdout

    def test_lists_none_of_another_entity(self, tds: Tds) -> None:
        """--entity narrows the list."""
        assert _json(tds, "dead-letter", "list", "--entity", "customer") == []

    def test_shows_all_of_one_by_a_part_of_its_id(self, tds: Tds) -> None:
        """Errors by field and the payload."""
        result = tds("dead-letter", "show", _letter(tds)[-8:])
        assert result.exit_code == 0, result.stderr
        assert "incomplete_document" in result.stdout or "missing" in result.stdout
        assert '"sku": "X"' in result.stdout

    def test_reprocesses_with_a_mended_document(self, tds: Tds, tmp_path: Path) -> None:
        """The document in a file replaces the payload, and the letter is closed."""
        mended = tmp_path / "mended.json"
        mended.write_text('{"name": "Mended", "sku": "X"}', encoding="utf-8")
        result = tds("dead-letter", "reprocess", _letter(tds), "--payload", str(mended))
        assert result.exit_code == 0, result.stderr
        assert "tds show product 4712" in result.stdout
        assert "No worker is running" in result.stderr
        assert _json(tds, "dead-letter", "list") == []

    def test_reads_the_document_from_standard_input(self, tds: Tds) -> None:
        """- is standard input."""
        result = tds("dead-letter", "reprocess", _letter(tds), "--payload", "-", given='{"name": "Mended"}')
        assert result.exit_code == 0, result.stderr

    @pytest.mark.parametrize("given", ["[1]", "{", ""])
    def test_refuses_what_is_no_document(self, tds: Tds, given: str) -> None:
        """Exit 2, and the letter stays open."""
        letter = _letter(tds)
        assert tds("dead-letter", "reprocess", letter, "--payload", "-", given=given).exit_code == 2
        assert _letter(tds) == letter

    def test_refuses_a_document_that_would_die_again(self, tds: Tds) -> None:
        """Exit 1 with the field that is wrong, and the letter stays open."""
        letter = _letter(tds)
        result = tds("dead-letter", "reprocess", letter, "--payload", "-", given='{"name": "X", "price": "cheap"}')
        assert result.exit_code == 1
        assert "price" in result.stderr
        assert _letter(tds) == letter

    def test_resolves_with_a_note(self, tds: Tds) -> None:
        """The note and who wrote it are kept."""
        letter = _letter(tds)
        assert tds("dead-letter", "resolve", letter, "--note", "a test record").exit_code == 0
        (closed,) = _json(tds, "dead-letter", "list", "--all")
        assert closed["resolution_notes"] == "a test record"
        assert closed["resolved_by"].endswith("(tds)")

    def test_refuses_an_empty_note(self, tds: Tds) -> None:
        """Whoever looks later wants to know why."""
        assert tds("dead-letter", "resolve", _letter(tds), "--note", " ").exit_code == 1


class TestSyncRun:
    """``tds sync run``."""

    def test_names_the_settings_that_are_missing(self, tds: Tds, connected: str) -> None:
        """Before anything is asked for."""
        assert connected
        result = tds("sync", "run", "zoho")
        assert result.exit_code == 1
        assert "TDS_ZOHO_REFRESH_TOKEN" in result.stderr
        assert _json(tds, "status")["runs"] == []

    @pytest.mark.parametrize("arguments", [["shop"], ["zoho", "--entity", "bill"]], ids=" ".join)
    def test_refuses_what_there_is_not(self, tds: Tds, connected: str, arguments: list[str]) -> None:
        """An unknown source or entity is wrong usage; what there is, is named."""
        assert connected
        result = tds("sync", "run", *arguments)
        assert result.exit_code == 2
        assert "there is: zoho" in result.stderr or "product, customer" in result.stderr

    def test_asks_for_a_run_of_each_entity(self, tds: Tds, connected: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a worker it says so on standard error; asked again, the open runs serve."""
        assert connected
        for name, value in ZOHO.items():
            monkeypatch.setenv(name, value)
        first = tds("sync", "run", "zoho", "--json")
        assert first.exit_code == 0, first.stderr
        assert "No worker is running" in first.stderr
        runs = json.loads(first.stdout)["runs"]
        assert [run["entity_type"] for run in runs] == ["product", "customer"]
        again = tds("sync", "run", "zoho", "--entity", "product", "--json")
        assert [run["id"] for run in json.loads(again.stdout)["runs"]] == [runs[0]["id"]]
        assert "under way already" in again.stderr
        assert tds("status").stdout.startswith("● stalled")


class TestDb:
    """``tds db``."""

    def test_upgrades_and_says_where_it_stands(
        self, tds: Tds, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Behind is exit 1; after the upgrade it is up to date, and upgrading again does nothing."""
        monkeypatch.setenv("TDS_DATABASE_URL", empty_database_url)
        behind = tds("db", "status", "--json")
        assert behind.exit_code == 1
        assert json.loads(behind.stdout)["pending"]
        assert "was: empty" in tds("db", "upgrade").stdout
        assert tds("db", "status").exit_code == 0
        assert "up to date" in tds("db", "upgrade").stdout
