"""What a request presents to prove who sends it: one bearer token, or one session cookie; never anything ambiguous."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from app.core.security.errors import UnauthorizedError

__all__ = ["PLAIN_COOKIE", "SECURE_COOKIE", "Credential", "RawHeaders", "is_secure", "present"]

RawHeaders = Iterable[tuple[bytes, bytes]]

SECURE_COOKIE: Final = "__Host-tds_session"
"""The prefix makes browsers hold it to this host, to https and to no domain above."""
PLAIN_COOKIE: Final = "tds_session"
"""For a browser on this very machine, over plain http."""
LONGEST: Final = 8_192
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token's text, or the secret of a browser session. ``raw`` are the header's bytes it stands in."""

    kind: Literal["bearer", "session"]
    text: str
    raw: bytes


def is_secure(scope: Mapping[str, Any]) -> bool:
    """Whether cookies of this request are for https only: always, but for plain http to this very machine."""
    if scope.get("scheme") != "http":
        return True
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname not in _LOOPBACK
    except ValueError:
        return True


def present(headers: RawHeaders, *, secure: bool) -> Credential:
    """The credential of a request.

    Raises:
        UnauthorizedError: there is none, or more than one, or one that nobody could have been given.
    """
    authorizations = [value for name, value in headers if name == b"authorization"]
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(authorizations) > 1 or len(cookies) > 1:
        raise UnauthorizedError("Send one Authorization header, or one Cookie header.")
    if authorizations:
        return Credential("bearer", _bearer(authorizations[0]), authorizations[0])
    if not cookies:
        raise UnauthorizedError
    return Credential("session", _session(cookies[0], SECURE_COOKIE if secure else PLAIN_COOKIE), cookies[0])


def _bearer(value: bytes) -> str:
    scheme, _, given = value.partition(b" ")
    given = given.strip()
    if scheme.lower() != b"bearer" or not given or len(given) > LONGEST:
        raise UnauthorizedError
    try:
        return given.decode("utf-8")  # a person's own choice for the static token may be any text
    except UnicodeDecodeError:
        raise UnauthorizedError from None


def _session(value: bytes, name: str) -> str:
    text = value.decode("latin-1")
    same = [one for one in text.split(";") if one.strip().startswith(f"{name}=")]
    if len(same) > 1 or len(text) > LONGEST:  # another host's cookie may have been put before ours
        raise UnauthorizedError("The session's cookie was sent twice: sign in anew.")
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        found = None
    if found is None or not found.value:
        raise UnauthorizedError
    return found.value
