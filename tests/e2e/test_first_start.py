"""The first start: one admin token, printed once; and whose word on an address counts."""

from __future__ import annotations

import re
import signal
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Command, Home

pytestmark = pytest.mark.e2e

TOKEN = re.compile(r"tds_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}")
SERVE = ("serve", "--port", "0", "--workers", "0")


def address(serve: Command) -> str:
    """Where it listens."""
    return serve.wait_for(lambda line: "listens on" in line).split()[3].rstrip(",")


def whoami(url: str, token: str) -> httpx2.Response:
    """Ask who the holder of a token is."""
    return httpx2.get(f"{url}/api/auth/session", headers={"Authorization": f"Bearer {token}"})


def test_a_token_is_printed_once_and_opens_everything(home: Home) -> None:
    """The second start prints none; a revoked one is refused at once by the server that runs."""
    with home.started(*SERVE) as serve:
        url = address(serve)
        (token,) = TOKEN.findall(serve.wait_for(lambda line: TOKEN.search(line) is not None))
        assert whoami(url, token).json()["role"] == "admin"
        assert home.run("token", "revoke", token[:12]).returncode == 0
        assert whoami(url, token).status_code == 401
        made: dict[str, Any] = home.json("token", "create", "Ann", "--role", "viewer")
        assert whoami(url, made["token"]).json()["name"] == "Ann"
        assert token not in (home.path / "serve.log").read_text()
        assert serve.end(signal.SIGTERM) == 0
    with home.started(*SERVE) as serve:
        address(serve)
        serve.process.send_signal(signal.SIGTERM)
        assert not TOKEN.search(serve.output.read())


@pytest.mark.parametrize(
    ("proxies", "origin"), [("127.0.0.1", "203.0.113.9"), ("", "127.0.0.1"), ("10.0.0.1", "127.0.0.1")]
)
def test_the_callers_address_is_a_trusted_proxys_word(home: Home, proxies: str, origin: str) -> None:
    """And nobody else's: without a proxy in the settings it is the connection's."""
    home.environment = {"TDS_SERVER_TRUSTED_PROXIES": proxies, "TDS_SERVER_ADMIN_TOKEN": "an example of a token"}
    with home.started(*SERVE) as serve:
        url = address(serve)
        headers = {"Authorization": "Bearer an example of a token", "X-Forwarded-For": "203.0.113.9"}
        assert httpx2.post(f"{url}/api/auth/tokens", json={"name": "x"}, headers=headers).status_code == 201
        audit = httpx2.get(f"{url}/api/bff/tds/audit", headers=headers).text
        assert f'"{origin}, token TDS_SERVER_ADMIN_TOKEN"' in audit
        assert not TOKEN.search(audit)
