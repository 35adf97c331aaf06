"""What a failed answer of Zoho's API means. Messages are in the user's language, so only codes decide."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from app.tds.core.errors import SourceAuthError, SourceError, SourceThrottledError, SourceUnavailableError
from app.tds.sources.zoho.schemas import Envelope, decode
from app.tds.sources.zoho.transport import Answer

__all__ = ["TokenRefusedError", "ZohoNotFoundError", "failure_of", "retry_after"]

_OK: Final = range(200, 300)
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500

_ANOTHER_ORGANIZATION: Final = 6041
_NOT_AUTHORIZED: Final = frozenset({14, 57})
_GONE: Final = 1002
_INTERNAL: Final = 1000
_IN_PROCESS: Final = 1070
_DAY_SPENT: Final = 45
# Seconds to wait where Zoho does not say: the block of an hour that was seen with code 43, a minute for the
# limit per minute, and an hour for the daily one, which ends at a midnight of the organisation that we do not know.
_PATIENCE: Final = {43: 3600.0, 44: 60.0, _DAY_SPENT: 3600.0}
_LONGEST: Final = 86_400.0


class ZohoNotFoundError(SourceError):
    """Zoho has no such record (any more)."""


class TokenRefusedError(SourceAuthError):
    """Zoho does not accept the access token; a new one may help."""


def failure_of(answer: Answer, *, now: datetime) -> SourceError | None:
    """The error that an answer means; None for success, which is a status 2xx *and* code 0."""
    envelope = decode(answer.body, Envelope)
    code = envelope.code if envelope else None
    if answer.status == _TOO_MANY or code == _IN_PROCESS or code in _PATIENCE:
        wait = retry_after(answer.headers, code, now=now)
        return SourceThrottledError(f"Zoho asks for patience ({_told(answer, code)}).", retry_after=wait)
    if answer.status == _UNAUTHORIZED and code != _ANOTHER_ORGANIZATION:
        return TokenRefusedError(f"Zoho does not accept the access token ({_told(answer, code)}).")
    if answer.status >= _SERVER_ERROR or code is None or code == _INTERNAL:
        return SourceUnavailableError(f"Zoho's answer cannot be used ({_told(answer, code)}).")
    if refusal := _refusal(answer, code):
        return refusal
    if answer.status in _OK and code == 0:
        return None
    return SourceError(f"Zoho refuses the request ({_told(answer, code)}).", detail=_detail(answer, envelope))


def retry_after(headers: Mapping[str, str], code: int | None, *, now: datetime) -> float:
    """Seconds until Zoho wants to be asked again, by its headers or, without them, by the code."""
    told = _seconds(headers.get("retry-after"), now)
    if told is None and code == _DAY_SPENT:
        told = _seconds(headers.get("x-rate-limit-reset"), now)
    if told is None and code == _IN_PROCESS:
        told = random.uniform(1.0, 10.0)  # noqa: S311 - spreads callers out, keeps no secret
    return min(max(_PATIENCE.get(code or 0, 60.0) if told is None else told, 1.0), _LONGEST)


def _refusal(answer: Answer, code: int) -> SourceError | None:
    if code == _ANOTHER_ORGANIZATION:
        return SourceAuthError(f"Zoho does not know this user in TDS_ZOHO_ORGANIZATION_ID ({_told(answer, code)}).")
    if answer.status == _FORBIDDEN or code in _NOT_AUTHORIZED:
        return SourceAuthError(f"Zoho does not allow this to TDS_ZOHO_REFRESH_TOKEN ({_told(answer, code)}).")
    if code == _GONE or (answer.status == _NOT_FOUND and code):
        return ZohoNotFoundError(f"Zoho has no such record ({_told(answer, code)}).")
    return None


def _told(answer: Answer, code: int | None) -> str:
    return f"status {answer.status}, " + ("no JSON" if code is None else f"code {code}")


def _detail(answer: Answer, envelope: Envelope | None) -> dict[str, int | str]:
    known = envelope or Envelope()
    return {"status": answer.status, "code": known.code, "message": known.message[:300]}


def _seconds(value: str | None, now: datetime) -> float | None:
    """A header's seconds, or the seconds until its date; None where it is neither."""
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
