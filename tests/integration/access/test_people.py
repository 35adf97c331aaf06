"""People of the identity provider, over HTTP; and what an action of anybody's leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from httpx2 import AsyncClient

from app.bootstrap import Runtime
from app.core.config import AuthSettings
from app.core.database import Database
from app.core.epochs import VIEWS
from app.core.security.principals import Role
from tests.integration.access.conftest import make_runtime, process
from tests.support.access import bearer, make_token
from tests.support.issuer import AUDIENCE, Issuer, running_issuer
from tests.support.pipeline import rows

pytestmark = pytest.mark.integration

WHOAMI = "/api/auth/session"
PAUSES = "/api/bff/tds/pauses"
PAUSE = {"source": "zoho", "mode": "pause"}


@pytest.fixture
def issuer() -> Generator[Issuer]:
    """The company's identity provider."""
    with running_issuer() as running:
        yield running


@pytest.fixture
async def people(database: Database, issuer: Issuer) -> AsyncGenerator[AsyncClient]:
    """A client of a server that asks it."""
    runtime = make_runtime(database, auth=AuthSettings(issuer=issuer.issuer, audience=AUDIENCE))
    async with process(runtime) as client:
        yield client


class TestPeople:
    """Tokens of the identity provider."""

    async def test_act_by_their_role_and_name(self, people: AsyncClient, database: Database, issuer: Issuer) -> None:
        """An operator pauses, a viewer does not; the audit trail names the person, and their subject."""
        assert (await people.post(PAUSES, json=PAUSE, headers=bearer(issuer.token(role="viewer")))).status_code == 403
        assert (await people.post(PAUSES, json=PAUSE, headers=bearer(issuer.token()))).is_success
        (row,) = await rows(database, "SELECT actor, origin FROM tds_audit_trail")
        assert row == {"actor": "sara", "origin": "127.0.0.1, identity sara"}

    async def test_are_out_when_their_token_ends(self, people: AsyncClient, issuer: Issuer) -> None:
        """Expired, another's, or of nobody: 401; known but without a role: 403. Token and keys may both be had."""
        ended = issuer.token(exp=int(time.time()) - 61)
        for token, status in ((ended, 401), (issuer.token(aud="x"), 401), (issuer.token(role="x"), 403)):
            assert (await people.get(WHOAMI, headers=bearer(token))).status_code == status
        answer = await people.get(WHOAMI, headers=bearer(issuer.token()))
        assert (answer.json()["kind"], answer.json()["csrf_token"]) == ("jwt", None)

    async def test_are_told_when_the_provider_is_gone(self, people: AsyncClient, issuer: Issuer) -> None:
        """503 and when to come again, never 500; API tokens work all the same."""
        issuer.broken = 500, b""
        answer = await people.get(WHOAMI, headers=bearer(issuer.token()))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")

    async def test_do_not_count_where_no_provider_is_set(self, client: AsyncClient, issuer: Issuer) -> None:
        """A JWT is no token there."""
        assert (await client.get(WHOAMI, headers=bearer(issuer.token()))).status_code == 401
        assert issuer.asked == 0


class TestActions:
    """What an action leaves behind."""

    async def test_makes_every_cached_answer_stale_and_is_recorded(
        self, client: AsyncClient, database: Database, runtime: Runtime
    ) -> None:
        """Runs, pauses and tokens alike, with who and from where, in their own transaction."""
        operator = await make_token(database, Role.ADMIN, name="Sara")
        client.headers |= bearer(operator)
        actions: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("/api/tds/runs", {"entity_type": "product"}, "sync_run"),
            (PAUSES, PAUSE, "pause"),
            ("/api/auth/tokens", {"name": "x"}, "api_token"),
            ("/api/tds/dead-letters/bulk/resolve", {"criteria": {}, "note": "x"}, "job"),
        )
        for url, body, kind in actions:
            before = (await runtime.epochs.current()).get(VIEWS, 0)
            assert (await client.post(url, json=body)).is_success, url
            assert (await runtime.epochs.current()).get(VIEWS, 0) > before, url
            found = await rows(
                database, "SELECT origin FROM tds_audit_trail WHERE actor = 'Sara' AND entity_type = :kind", kind=kind
            )
            assert [one["origin"] for one in found] == [f"127.0.0.1, token {operator.secret.prefix}"], json.dumps(body)
