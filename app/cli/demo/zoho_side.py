"""What the source holds: read over its HTTP API as anybody would, page by page, and kept as the JSON it is.

Nothing of the program's own client or mapping is used here: a comparison made with the code that it checks would
share its mistakes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from decimal import Decimal
from typing import Any, Final

import httpx2

__all__ = ["read_contacts", "read_items"]

Raw = dict[str, Any]

_AT_ONCE: Final = 8
_PER_PAGE: Final = 200


async def read_items(environment: Mapping[str, str]) -> dict[str, Raw]:
    """All items by id, as the list of Zoho Inventory shows them."""
    async with _client(environment) as client:
        return {str(row["item_id"]): row async for row in _list(client, "/inventory/v1/items", "items")}


async def read_contacts(environment: Mapping[str, str]) -> dict[str, Raw]:
    """All customers by id, each as Zoho Books shows it by itself: with addresses and persons."""
    async with _client(environment) as client:
        ids = [
            str(row["contact_id"])
            async for row in _list(client, "/books/v3/contacts", "contacts", contact_type="customer")
        ]
        slots = asyncio.Semaphore(_AT_ONCE)

        async def detail(identifier: str) -> Raw:
            async with slots:
                return (await _get(client, f"/books/v3/contacts/{identifier}"))["contact"]

        details = await asyncio.gather(*map(detail, ids))
    return dict(zip(ids, details, strict=True))


def _client(environment: Mapping[str, str]) -> _Zoho:
    return _Zoho(environment)


class _Zoho:
    """A signed-in HTTP client."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._settings = {name.removeprefix("TDS_ZOHO_").lower(): value for name, value in environment.items()}
        self._http = httpx2.AsyncClient(base_url=self._settings["api_url"], trust_env=False, timeout=60)

    async def __aenter__(self) -> httpx2.AsyncClient:
        wanted = ("client_id", "client_secret", "refresh_token")
        form = {"grant_type": "refresh_token", **{name: self._settings[name] for name in wanted}}
        answer = await self._http.post(f"{self._settings['accounts_url']}/oauth/v2/token", data=form)
        self._http.headers["Authorization"] = f"Zoho-oauthtoken {answer.json()['access_token']}"
        self._http.params = httpx2.QueryParams(organization_id=self._settings["organization_id"])
        return self._http

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()


async def _list(client: httpx2.AsyncClient, path: str, key: str, **query: str) -> AsyncGenerator[Raw]:
    page, more = 1, True
    while more:
        answer = await _get(client, path, page=page, per_page=_PER_PAGE, sort_column="created_time", **query)
        for row in answer[key]:
            yield row
        page, more = page + 1, answer["page_context"]["has_more_page"]


async def _get(client: httpx2.AsyncClient, path: str, **query: str | int) -> Raw:
    answer = await client.get(path, params=query)
    answer.raise_for_status()
    return json.loads(answer.content, parse_float=Decimal)
