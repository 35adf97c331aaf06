"""Zoho's data centres: the only hosts of an API that an answer may send us to.

Zoho's multi-data-centre pages, and public clients for the last two.
"""

from __future__ import annotations

from typing import Final

__all__ = ["API_HOSTS", "api_base", "base"]

API_HOSTS: Final = frozenset({
    "https://www.zohoapis.com",
    "https://www.zohoapis.eu",
    "https://www.zohoapis.in",
    "https://www.zohoapis.com.au",
    "https://www.zohoapis.jp",
    "https://www.zohoapis.ca",
    "https://www.zohoapis.sa",
    "https://www.zohoapis.com.cn",
    "https://www.zohoapis.uk",
    "https://www.zohoapis.ae",
})  # fmt: skip


def base(url: object) -> str:
    """An address without the slash that a URL type adds to its end."""
    return str(url).rstrip("/")


def api_base(configured: object, told: str | None) -> str:
    """Where the API is. What an answer tells is taken only between hosts of the table: a token must never
    follow an unknown name, and a stand-in must never send us to the real thing.
    """
    own = base(configured)
    return base(told) if told and own in API_HOSTS and base(told) in API_HOSTS else own
