"""Faults on demand: which one a call meets, and the answers that replace the true one."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, Response

from app.sandbox.zoho.answers import ZohoError, error_response, json_response, refusal
from app.sandbox.zoho.contract import FaultRule
from app.sandbox.zoho.tokens import THROTTLED, THROTTLED_LOCALISED

if TYPE_CHECKING:
    from app.sandbox.zoho.chance import Chance

__all__ = ["SPOILING", "FaultBook", "answer_of"]

SPOILING: Final = frozenset({"cut", "truncated", "wrong_content_type"})

_CODES: Final = {"rate_limited": 44, "unauthorized": 57, "not_found": 1002}
_STATUSES: Final = {"rate_limited": 429, "server_error": 500, "unauthorized": 401, "not_found": 404, "error_200": 200}
_HTML: Final = "<html><head><title>{status}</title></head><body><h1>Service Temporarily Unavailable</h1></body></html>"


class FaultBook:
    """The active faults, in the order they were added."""

    def __init__(self, rng: Chance) -> None:
        self.rules: list[FaultRule] = []
        self._rng = rng

    def add(self, rules: list[FaultRule]) -> None:
        """Add rules behind those there are."""
        self.rules.extend(rules)

    def clear(self) -> None:
        """No more faults."""
        self.rules.clear()

    def meet(self, path: str) -> tuple[float, FaultRule | None]:
        """The seconds a call is held, and the fault that then befalls it."""
        delay = 0.0
        for rule in self.rules:
            if not self._fires(rule, path):
                continue
            if rule.kind != "slow":
                return delay, rule
            delay += rule.delay
        return delay, None

    def _fires(self, rule: FaultRule, path: str) -> bool:
        if not _matches(rule.path, path) or (rule.count is not None and rule.fired >= rule.count):
            return False
        if rule.skip > 0:
            rule.skip -= 1
            return False
        if self._rng.random() >= rule.probability:
            return False
        rule.fired += 1
        return True


def _matches(pattern: str, path: str) -> bool:
    if path.startswith("/oauth") and not pattern.startswith("/oauth"):
        return False
    return fnmatchcase(path, pattern)


def answer_of(rule: FaultRule) -> Response:
    """The answer of a fault that needs no true answer."""
    match rule.kind:
        case "html":
            status = rule.status or 503
            headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
            return HTMLResponse(_HTML.format(status=status), status, headers)
        case "token_throttled":
            return json_response(THROTTLED_LOCALISED if rule.localised else THROTTLED, rule.status or 400)
        case "token_error":
            return json_response({"error": rule.error}, rule.status or 200)
        case _:
            return error_response(_error_of(rule), retry_after=rule.retry_after)


def _error_of(rule: FaultRule) -> ZohoError:
    code = rule.code or _CODES.get(rule.kind, 1000)
    status = rule.status or _STATUSES.get(rule.kind, 200)
    try:
        return ZohoError(code, refusal(code).message, status)
    except KeyError:
        return ZohoError(code, "Internal error", status)
