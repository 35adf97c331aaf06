"""Secrets: how they are made, what of them is shown, and what is kept. None is ever stored as it is."""

from __future__ import annotations

import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

__all__ = ["NewSecret", "csrf_of", "digest", "new_session_secret", "new_token", "prefix_of", "same"]

_LETTERS: Final = string.ascii_letters + string.digits
_PUBLIC: Final = 8
_RANDOM: Final = 43
_TOKEN: Final = re.compile(rf"(tds_[A-Za-z0-9]{{{_PUBLIC}}})_[A-Za-z0-9]{{{_RANDOM}}}")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A token just made: ``text`` is shown once and then known to nobody here; ``prefix`` names it from then on."""

    text: str = field(repr=False)
    prefix: str

    @property
    def digest(self) -> bytes:
        """What is stored of it."""
        return digest(self.text)


def new_token() -> NewSecret:
    """An API token, ``tds_<8 public characters>_<43 random ones>``: 256 random bits."""
    prefix = "tds_" + _random(_PUBLIC)
    return NewSecret(f"{prefix}_{_random(_RANDOM)}", prefix)


def new_session_secret() -> str:
    """What the cookie of a browser session holds: 256 random bits."""
    return _random(_RANDOM)


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def prefix_of(text: str) -> str | None:
    """The public prefix of what has the form of an API token; None of anything else."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> bytes:
    """SHA-256. No salt and no stretching: what is hashed here is random and long, nobody guesses it."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def same(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not tell how far they are."""
    return hmac.compare_digest(one, other)


def csrf_of(session_secret: str) -> str:
    """The CSRF token of a browser session: only who holds the session's secret can tell it."""
    return hmac.new(session_secret.encode(), b"tds csrf", sha256).hexdigest()
