"""The Zoho source over real HTTP, against the sandbox and against a peer that misbehaves on the wire."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
import stamina
import uvicorn
from pydantic import AnyHttpUrl, SecretStr

from app.core.config import ZohoSettings
from app.sandbox.zoho.application import create_app
from app.sandbox.zoho.config import SandboxConfig
from app.sandbox.zoho.contract import Behaviour, FaultRule, Module, TokenRules
from app.sandbox.zoho.control import SandboxControl
from app.tds.core.errors import SourceAuthError, SourceThrottledError, SourceUnavailableError
from app.tds.core.ports import Page, RawRecord, StoredEvent
from app.tds.sources.zoho import ZohoSource
from app.tds.types import EntityType

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # a peer that hangs up leaves its sockets to the loop

CONFIG = SandboxConfig(products=450, customers=60, webhook_secret="webhook5secret")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def serving(application: Any) -> AsyncGenerator[str]:
    """The address of an application on a free port, for as long as it is wanted."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[bound]))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        await running


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[ZohoSource]:
    """A source of the organisation at an address."""
    source = ZohoSource(
        ZohoSettings(
            accounts_url=AnyHttpUrl(url),
            api_url=AnyHttpUrl(url),
            organization_id=CONFIG.organization_id,
            client_id=CONFIG.client_id,
            client_secret=SecretStr(CONFIG.client_secret),
            refresh_token=SecretStr(CONFIG.refresh_token),
        )
    )
    try:
        yield source
    finally:
        await source.aclose()


@pytest.fixture(autouse=True)
def no_waiting() -> Any:
    """Retries follow at once."""
    with stamina.set_testing(testing=True, attempts=10, cap=True):
        yield


@pytest.fixture
async def sandbox() -> AsyncGenerator[SandboxControl]:
    """A sandbox of 450 items and 60 customers, quirks included."""
    async with serving(create_app(CONFIG)) as url, SandboxControl(url) as control:
        yield control


@pytest.fixture
async def source(sandbox: SandboxControl) -> AsyncGenerator[ZohoSource]:
    """A source at the sandbox."""
    async with connected(sandbox.base_url) as source:
        yield source


async def read(source: ZohoSource, entity: EntityType, since: datetime | None = None) -> list[Page]:
    """All pages."""
    return [page async for page in source.pages(entity, since=since, checkpoint=None)]


def records(pages: list[Page]) -> list[RawRecord]:
    """The records of all pages."""
    return [record for page in pages for record in page.records]


def event(record: RawRecord) -> StoredEvent:
    """A record as the inbox hands it to the mapping."""
    return StoredEvent(
        body=record.body,
        headers={},
        entity_type=record.entity_type,
        source_entity_id=record.source_entity_id,
        operation=record.operation,
    )


class TestPages:
    """Polling the sandbox."""

    async def test_reads_and_maps_everything(self, sandbox: SandboxControl, source: ZohoSource) -> None:
        """Every item and every customer arrives once, and every one can be mapped, quirks included."""
        truth = await sandbox.records()
        for entity, ids in ((EntityType.PRODUCT, truth.items), (EntityType.CUSTOMER, truth.customers)):
            changes = [source.map(event(record)) for record in records(await read(source, entity))]
            assert sorted(change.source_entity_id for change in changes) == sorted(ids)
            assert {change.entity_type for change in changes} == {entity}

    @pytest.mark.parametrize(
        "ignored", [[], ["last_modified_time"], ["last_modified_time", "sort_column", "sort_order"]]
    )
    async def test_reads_what_changed(self, sandbox: SandboxControl, source: ZohoSource, ignored: list[str]) -> None:
        """After an edit only it, and what is within the overlap, is read, whether or not Zoho heeds the query."""
        await sandbox.set_behaviour(Behaviour(ignored_params={"inventory/items": ignored, "books/contacts": ignored}))
        modules: dict[EntityType, Module] = {EntityType.PRODUCT: "items", EntityType.CUSTOMER: "contacts"}
        for entity, module in modules.items():
            pages = await read(source, entity)
            watermark = pages[-1].watermark
            truth = await sandbox.records()
            identifier = next(iter(truth.items if module == "items" else truth.customers))
            await sandbox.update(module, identifier, {"name" if module == "items" else "contact_name": "Edited"})
            again = records(await read(source, entity, since=watermark))
            assert identifier in {record.source_entity_id for record in again}
            assert len(again) < len(records(pages))

    async def test_gets_over_short_trouble(self, sandbox: SandboxControl, source: ZohoSource) -> None:
        """Two failures in a row, on the wire or in the answer, are not told."""
        await sandbox.add_faults(FaultRule(kind="cut", count=1), FaultRule(kind="html", count=1))
        assert len(records(await read(source, EntityType.PRODUCT))) == 450
        await sandbox.add_faults(FaultRule(kind="truncated", count=1), FaultRule(kind="error_200", count=1))
        assert len(records(await read(source, EntityType.PRODUCT))) == 450

    async def test_tells_lasting_trouble(self, sandbox: SandboxControl, source: ZohoSource) -> None:
        """A source that stays away is told after three tries, a limit at once."""
        await sandbox.add_faults(FaultRule(kind="cut", path="/inventory/*"))
        with pytest.raises(SourceUnavailableError):
            await read(source, EntityType.PRODUCT)
        await sandbox.clear_faults()
        await sandbox.add_faults(FaultRule(kind="rate_limited", code=43, retry_after=3600))
        with pytest.raises(SourceThrottledError) as caught:
            await read(source, EntityType.PRODUCT)
        assert caught.value.retry_after == 3600

    async def test_skips_who_vanishes_meanwhile(self, sandbox: SandboxControl, source: ZohoSource) -> None:
        """A customer that its detail call does not find is left out."""
        await sandbox.add_faults(FaultRule(kind="not_found", path="/books/v3/contacts/*", count=1))
        assert len(records(await read(source, EntityType.CUSTOMER))) == len((await sandbox.records()).customers) - 1

    async def test_gets_a_new_token(self, sandbox: SandboxControl, source: ZohoSource) -> None:
        """A token that ends early is replaced within the call; revoked credentials are for a person."""
        await read(source, EntityType.PRODUCT)
        await sandbox.set_tokens(TokenRules(expire=True))
        assert len(records(await read(source, EntityType.PRODUCT))) == 450
        async with connected(sandbox.base_url) as other:
            await sandbox.set_tokens(TokenRules(revoked=True))
            with pytest.raises(SourceAuthError, match="TDS_ZOHO_REFRESH_TOKEN"):
                await read(other, EntityType.PRODUCT)


class TestFetch:
    """One record by its id."""

    @pytest.mark.parametrize("entity", [EntityType.PRODUCT, EntityType.CUSTOMER])
    async def test_reads_it_whole_or_says_that_there_is_none(
        self, sandbox: SandboxControl, source: ZohoSource, entity: EntityType
    ) -> None:
        """The id maps to itself; an id that Zoho does not know is None, not an error."""
        records = await sandbox.records()
        known = next(iter(records.items if entity is EntityType.PRODUCT else records.customers))
        found = await source.fetch(entity, known)
        assert found is not None
        event = StoredEvent(
            body=found.body, headers={}, entity_type=found.entity_type, source_entity_id=None, operation=None
        )
        assert source.map(event).source_entity_id == known
        assert await source.fetch(entity, "999999999999999999") is None


class TestWire:
    """What only a real connection shows."""

    async def test_sends_the_offset_escaped(self) -> None:
        """The bytes of the query on the wire."""
        seen: list[bytes] = []

        async def peer(scope: Scope, receive: Receive, send: Send) -> None:
            await _ready(scope, receive, send)
            if scope["type"] == "http":
                seen.append(scope["query_string"])
                body = b'{"access_token":"a","code":0,"items":[],"page_context":{"has_more_page":false}}'
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body})

        async with serving(peer) as url, connected(url) as source:
            await read(source, EntityType.PRODUCT, since=datetime.fromisoformat("2026-01-10T12:00:00+03:00"))
        assert seen[0] == b""
        assert b"last_modified_time=2026-01-10T08%3A55%3A00%2B0000" in seen[1]

    async def test_is_unavailable_where_nobody_listens(self) -> None:
        """A refused connection is trouble that may pass."""
        with socket.create_server(("127.0.0.1", 0)) as bound:
            url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with connected(url) as source:
            with pytest.raises(SourceUnavailableError, match="ConnectError"):
                await read(source, EntityType.PRODUCT)


async def _ready(scope: Scope, receive: Receive, send: Send) -> None:
    """The lifespan part of an application that needs none."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
