"""The shapes of Zoho's answers, as far as polling looks into them; records stay raw bytes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

__all__ = [
    "ContactAnswer",
    "ContactsAnswer",
    "Envelope",
    "ItemAnswer",
    "ItemsAnswer",
    "PageContext",
    "Stub",
    "TokenAnswer",
    "decode",
]

_Shape = TypeVar("_Shape")


class Envelope(msgspec.Struct):
    """What every answer of the API carries; code 0 is success."""

    code: int = 0
    message: str = ""


class PageContext(msgspec.Struct):
    """Where a list stands. Zoho echoes the order that it really used."""

    has_more_page: bool
    sort_column: str | None = None


class ItemAnswer(msgspec.Struct):
    """One item."""

    item: msgspec.Raw


class ItemsAnswer(msgspec.Struct):
    """A page of items."""

    items: list[msgspec.Raw]
    page_context: PageContext | None = None

    @property
    def rows(self) -> list[msgspec.Raw]:
        """The page's records."""
        return self.items


class ContactsAnswer(msgspec.Struct):
    """A page of contacts."""

    contacts: list[msgspec.Raw]
    page_context: PageContext | None = None

    @property
    def rows(self) -> list[msgspec.Raw]:
        """The page's records."""
        return self.contacts


class ContactAnswer(msgspec.Struct):
    """One contact, whole."""

    contact: msgspec.Raw


class Stub(msgspec.Struct):
    """What polling needs to know of a row; whether the rest is right is for the mapping to say."""

    item_id: Any = None
    contact_id: Any = None
    contact_type: Any = None
    last_modified_time: Any = None


class TokenAnswer(msgspec.Struct):
    """An answer of the token endpoint, success or not: its status does not tell which."""

    access_token: str | None = None
    expires_in: int | None = None
    expires_in_sec: int | None = None
    api_domain: str | None = None
    error: str | None = None
    error_description: str | None = None
    status: str | None = None


def decode(body: bytes | msgspec.Raw, shape: type[_Shape]) -> _Shape | None:
    """``body`` as ``shape``; None where it is not of that shape, or not JSON at all."""
    try:
        return msgspec.json.decode(body, type=shape, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
