"""The token endpoint: grants, errors, lives."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
import pytest

from app.sandbox.zoho import SandboxConfig
from app.sandbox.zoho.contract import TokenRules
from app.sandbox.zoho.tokens import THROTTLED, TokenDesk

CONFIG = SandboxConfig()
TOKEN = "/oauth/v2/token"


@dataclass
class HandClock:
    """Seconds that pass when told."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The second it is."""
        return self.now


class TestGrant:
    """Answers of the endpoint over HTTP."""

    async def test_refreshes(self, http: httpx2.AsyncClient, credentials: dict[str, str]) -> None:
        """The answer has no new refresh token."""
        answer = (await http.post(TOKEN, data=credentials)).json()
        assert set(answer) == {"access_token", "scope", "api_domain", "token_type", "expires_in"}
        assert (answer["expires_in"], answer["token_type"]) == (3600, "Bearer")

    async def test_takes_parameters_from_the_query(self, http: httpx2.AsyncClient, credentials: dict[str, str]) -> None:
        """Zoho accepts both; the body is the better place."""
        assert "access_token" in (await http.post(TOKEN, params=credentials)).json()

    async def test_exchanges_a_code_once(self, http: httpx2.AsyncClient, credentials: dict[str, str]) -> None:
        """The exchange brings a refresh token that works; the code is then spent."""
        form = {**credentials, "grant_type": "authorization_code", "code": CONFIG.grant_code}
        first, second = (await http.post(TOKEN, data=form)).json(), (await http.post(TOKEN, data=form)).json()
        assert second == {"error": "invalid_code"}
        renewed = {**credentials, "refresh_token": first["refresh_token"]}
        assert "access_token" in (await http.post(TOKEN, data=renewed)).json()

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"refresh_token": "1000.other"}, "invalid_code"),
            ({"client_id": "1000.OTHER"}, "invalid_client"),
            ({"client_secret": "other"}, "invalid_client_secret"),
            ({"grant_type": "password"}, "invalid_client"),
        ],
    )
    async def test_answers_errors_with_status_200(
        self, http: httpx2.AsyncClient, credentials: dict[str, str], change: dict[str, str], error: str
    ) -> None:
        """The body, not the status, tells that it failed."""
        answer = await http.post(TOKEN, data={**credentials, **change})
        assert (answer.status_code, answer.json()) == (200, {"error": error})

    async def test_refuses_get_and_no_grant_type(self, http: httpx2.AsyncClient) -> None:
        """Both are bad requests."""
        assert (await http.get(TOKEN)).status_code == 400
        assert (await http.post(TOKEN, data={"client_id": CONFIG.client_id})).status_code == 400

    async def test_revoked_tokens_open_nothing(self, http: httpx2.AsyncClient, credentials: dict[str, str]) -> None:
        """Revoking the refresh token ends it and its access tokens."""
        token = (await http.post(TOKEN, data=credentials)).json()["access_token"]
        revoked = await http.post(f"{TOKEN}/revoke", params={"token": CONFIG.refresh_token})
        assert revoked.status_code == 200
        assert (await http.post(TOKEN, data=credentials)).json() == {"error": "invalid_code"}
        answer = await http.get("/books/v3/organizations", headers={"Authorization": f"Zoho-oauthtoken {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, 14)


class TestTokenDesk:
    """Lives and limits, with a clock by hand."""

    @pytest.fixture
    def clock(self) -> HandClock:
        """The desk's clock."""
        return HandClock()

    @pytest.fixture
    def desk(self, clock: HandClock) -> TokenDesk:
        """A desk of the default organisation."""
        return TokenDesk(CONFIG, clock)

    @staticmethod
    def _token(desk: TokenDesk, credentials: dict[str, str]) -> str:
        return desk.grant(credentials, "http://x")[1]["access_token"]

    def test_tokens_expire(self, desk: TokenDesk, clock: HandClock, credentials: dict[str, str]) -> None:
        """A token opens the API for its life and not a second longer."""
        token = self._token(desk, credentials)
        clock.now += 3599
        assert desk.is_live(token)
        clock.now += 1
        assert not desk.is_live(token)

    def test_the_16th_token_evicts_the_first(self, desk: TokenDesk, credentials: dict[str, str]) -> None:
        """Fifteen access tokens live side by side."""
        tokens = [self._token(desk, credentials) for _ in range(16)]
        assert [desk.is_live(token) for token in tokens] == [False] + [True] * 15

    def test_throttles_the_11th_of_ten_minutes(
        self, desk: TokenDesk, clock: HandClock, credentials: dict[str, str]
    ) -> None:
        """Access Denied until the window has passed."""
        desk.configure(TokenRules(throttle=True))
        answers = [desk.grant(credentials, "") for _ in range(11)]
        assert answers[10] == (400, THROTTLED)
        assert all("access_token" in answer for _, answer in answers[:10])
        clock.now += 600
        assert desk.grant(credentials, "")[0] == 200

    def test_expire_ends_live_tokens_once(self, desk: TokenDesk, credentials: dict[str, str]) -> None:
        """Tokens issued afterwards live."""
        token = self._token(desk, credentials)
        desk.configure(TokenRules(expire=True))
        assert not desk.is_live(token)
        assert desk.is_live(self._token(desk, credentials))
        assert desk.rules.expire is False
