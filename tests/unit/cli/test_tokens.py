"""``tds token``: a token is printed once, works until it is revoked, and who did it is recorded."""

from __future__ import annotations

import asyncio
import getpass
import json
import re

import pytest

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.core.security.secrets import digest
from tests.support.pipeline import rows
from tests.unit.cli.conftest import Tds

TOKEN = re.compile(r"tds_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}")


def looked_up(url: str, sql: str) -> list[dict[str, object]]:
    """Rows of the command's database."""

    async def look() -> list[dict[str, object]]:
        database = Database(url, DatabaseSettings())
        try:
            return await rows(database, sql)
        finally:
            await database.dispose()

    return asyncio.run(look())


class TestTokenCommands:
    """Make, list, revoke."""

    def test_what_is_made_is_printed_once_and_revoked_by_its_prefix(self, tds: Tds, connected: str) -> None:
        """Only its hash is kept; the audit trail tells who, from the command line."""
        made = tds("token", "create", "Sara, phone", "--role", "operator", "--expires-in", "4w")
        assert made.exit_code == 0, made.output
        (text,) = TOKEN.findall(made.stdout)
        (row,) = looked_up(connected, "SELECT token_hash, role FROM api_tokens")
        assert row == {"token_hash": digest(text), "role": "operator"}
        listed = tds("token", "list").stdout
        assert text[:12] in listed
        assert not TOKEN.search(listed)
        assert "Sara, phone" in tds("token", "revoke", text[:12]).stdout
        (shown,) = json.loads(tds("token", "list", "--json").stdout)
        assert (shown["state"], shown["prefix"]) == ("revoked", text[:12])
        audit = looked_up(connected, "SELECT DISTINCT origin FROM tds_audit_trail WHERE entity_type = 'api_token'")
        assert audit == [{"origin": f"command line, user {getpass.getuser()}"}]

    def test_json_is_the_token_and_nothing_else(self, tds: Tds, connected: str) -> None:
        """For a script; ``revoke`` takes the id too."""
        del connected
        made = json.loads(tds("token", "create", "ci", "--json", "--expires-in", "never").stdout)
        assert TOKEN.fullmatch(made["token"])
        assert (made["role"], made["expires_at"]) == ("viewer", None)
        assert json.loads(tds("token", "revoke", made["id"], "--json").stdout)["state"] == "revoked"
        again = tds("token", "revoke", made["id"])
        assert (again.exit_code, "revoked already" in again.stderr) == (1, True)

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("create", "x", "--expires-in", "5y"), "90d"),
            (("create", "a\nb"), "one line"),
            (("revoke", "nothing"), "tds token list"),
        ],
    )
    def test_what_cannot_be_done_says_what_can(
        self, tds: Tds, connected: str, arguments: tuple[str, ...], told: str
    ) -> None:
        """One line on standard error."""
        del connected
        done = tds("token", *arguments)
        assert done.exit_code == 1
        assert told in done.stderr
