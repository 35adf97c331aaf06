"""The token endpoint: grants, lives, evictions, throttling. It answers errors with HTTP 200, as Zoho does."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from app.sandbox.zoho.contract import TokenRules

if TYPE_CHECKING:
    from app.sandbox.zoho.config import SandboxConfig
    from app.sandbox.zoho.wire import Data

__all__ = ["THROTTLED", "THROTTLED_LOCALISED", "TokenDesk"]

Answer = tuple[int, "Data"]

THROTTLED: Final[Data] = {
    "error_description": "You have made too many requests continuously. Please try again after some time.",
    "error": "Access Denied",
    "status": "failure",
}
THROTTLED_LOCALISED: Final[Data] = {
    "error_description": "您已连续提出过多请求，请稍后再试。",
    "error": "拒绝访问",
    "status": "failure",
}


class TokenDesk:
    """Issues and knows access tokens. ``clock`` counts seconds."""

    def __init__(self, config: SandboxConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules = TokenRules()
        self._config = config
        self._clock = clock
        self._codes = {config.grant_code}
        self._refresh = {config.refresh_token}
        self._live: dict[str, float] = {}
        self._issued: deque[float] = deque()

    def configure(self, rules: TokenRules) -> None:
        """Put rules in force; ``expire`` is done, not kept."""
        if rules.expire or rules.revoked:
            self._live.clear()
        self._issued.clear()
        self.rules = rules.model_copy(update={"expire": False})

    def grant(self, form: Mapping[str, str], api_domain: str) -> Answer:
        """Answer a token request; parameters come from the body or the query."""
        if not form.get("grant_type"):
            return 400, {"error": "invalid_request"}
        if form.get("client_id") != self._config.client_id:
            return 200, {"error": "invalid_client"}
        if form.get("client_secret") != self._config.client_secret:
            return 200, {"error": "invalid_client_secret"}
        match form["grant_type"]:
            case "refresh_token":
                return self._refreshed(form, api_domain)
            case "authorization_code":
                return self._exchanged(form, api_domain)
            case _:
                return 200, {"error": "invalid_client"}

    def revoke(self, token: str) -> Answer:
        """End a refresh token with its access tokens, or one access token."""
        if token in self._refresh:
            self._refresh.discard(token)
            self._live.clear()
        elif self._live.pop(token, None) is None:
            return 200, {"error": "invalid_code"}
        return 200, {"status": "success"}

    def is_live(self, token: str) -> bool:
        """Whether an access token opens the API now."""
        return self._live.get(token, float("-inf")) > self._clock()

    def _refreshed(self, form: Mapping[str, str], api_domain: str) -> Answer:
        if self.rules.revoked or form.get("refresh_token") not in self._refresh:
            return 200, {"error": "invalid_code"}
        return self._issue(api_domain)

    def _exchanged(self, form: Mapping[str, str], api_domain: str) -> Answer:
        code = form.get("code", "")
        if code not in self._codes:
            return 200, {"error": "invalid_code"}
        if self._config.redirect_uri not in {None, form.get("redirect_uri")}:
            return 200, {"error": "invalid_redirect_uri"}
        status, answer = self._issue(api_domain)
        if "access_token" in answer:
            self._codes.discard(code)
            self._refresh.add(refresh := f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}")
            answer = {"access_token": answer["access_token"], "refresh_token": refresh, **answer}
        return status, answer

    def _issue(self, api_domain: str) -> Answer:
        now = self._clock()
        if self._is_throttled(now):
            return self.rules.throttle_status, THROTTLED
        self._issued.append(now)
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self._live[token] = now + self.rules.lifetime_seconds
        while len(self._live) > self.rules.live_tokens:
            del self._live[next(iter(self._live))]
        return 200, {
            "access_token": token,
            "scope": self._config.scope,
            "api_domain": self._config.api_domain or api_domain,
            "token_type": "Bearer",
            "expires_in": int(self.rules.lifetime_seconds),
        }

    def _is_throttled(self, now: float) -> bool:
        while self._issued and self._issued[0] <= now - self.rules.window_seconds:
            self._issued.popleft()
        return self.rules.throttle and len(self._issued) >= self.rules.per_window
