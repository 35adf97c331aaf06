"""The sandbox as its users meet it: a process of its own, real HTTP, webhooks to a real receiver."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from app.sandbox.zoho.contract import ChangeRequest, Edit, FaultRule, SendSwitches, WebhookRules
from app.sandbox.zoho.control import SandboxControl
from app.sandbox.zoho.signature import SIGNATURE_HEADER, sign
from app.sandbox.zoho.wire import decode

SECRET = "examplesecret123"
COMMAND = [sys.executable, "-m", "app.sandbox", "--products", "420", "--customers", "40", "--port", "0", "--seed", "5"]


@dataclass
class Receiver:
    """Keeps what it is sent; answers the statuses of ``statuses`` in turn, then 202."""

    url: str = ""
    statuses: list[int] = field(default_factory=list[int])
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One webhook."""
        request = Request(scope, receive)
        self.seen.append((request.url.query, dict(request.headers), await request.body()))
        status = self.statuses.pop(0) if self.statuses else 202
        await Response("noted", status)(scope, receive, send)

    @property
    def names(self) -> list[str]:
        """The names in the bodies, in the order they came."""
        return [decode(body)["item"]["name"] for _, _, body in self.seen]


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    """A receiver that listens."""
    found = Receiver()
    with socket.create_server(("127.0.0.1", 0)) as bound:
        found.url = f"http://127.0.0.1:{bound.getsockname()[1]}/hooks"
        server = uvicorn.Server(uvicorn.Config(found, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        task = asyncio.create_task(server.serve(sockets=[bound]))
        yield found
        server.should_exit = True
        await task


@pytest.fixture
def process() -> Generator[subprocess.Popen[str]]:
    """The sandbox's process, ended by its own id."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.terminate()


@pytest.fixture
def base_url(process: subprocess.Popen[str]) -> str:
    """The address it announces once it listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Zoho sandbox on http://127.0.0.1:")
    return line.split()[-1]


@pytest.fixture
async def control(base_url: str) -> AsyncGenerator[SandboxControl]:
    """The typed control client."""
    async with SandboxControl(base_url) as client:
        yield client


@pytest.fixture
async def api(control: SandboxControl) -> AsyncGenerator[httpx2.AsyncClient]:
    """An authorised client of the organisation."""
    state = await control.state()
    form = {
        "grant_type": "refresh_token",
        "client_id": state.client_id,
        "client_secret": state.client_secret,
        "refresh_token": state.refresh_token,
    }
    async with httpx2.AsyncClient(base_url=control.base_url, trust_env=False) as client:
        token = (await client.post("/oauth/v2/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Zoho-oauthtoken {token}"
        client.params = httpx2.QueryParams(organization_id=state.organization_id)
        yield client


class TestProcess:
    """Starting, serving, stopping."""

    async def test_serves_all_records_quickly(self, api: httpx2.AsyncClient, control: SandboxControl) -> None:
        """Three pages of items and every contact in detail take well under two seconds."""
        started = time.monotonic()
        pages = [(await api.get("/inventory/v1/items", params={"page": page})).json() for page in (1, 2, 3)]
        contacts = (await api.get("/books/v3/contacts")).json()["contacts"]
        for contact in contacts:
            await api.get(f"/books/v3/contacts/{contact['contact_id']}")
        assert time.monotonic() - started < 2
        assert [len(page["items"]) for page in pages] == [200, 200, 20]
        assert (await control.calls()).by_path["GET /books/v3/contacts/{id}"] == {"200": 42}

    async def test_cuts_a_connection(self, api: httpx2.AsyncClient, control: SandboxControl) -> None:
        """The client sees a body that ends too early, and the next call works."""
        await control.add_faults(FaultRule(kind="cut", count=1))
        with pytest.raises(httpx2.RemoteProtocolError):
            await api.get("/inventory/v1/items")
        assert (await api.get("/inventory/v1/items")).status_code == 200
        assert (await control.calls()).by_path["GET /inventory/v1/items"] == {"200": 1, "cut": 1}

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_stops_at_once_with_open_connections(
        self, process: subprocess.Popen[str], api: httpx2.AsyncClient, control: SandboxControl, number: signal.Signals
    ) -> None:
        """A call that is being answered slowly does not hold the process."""
        await control.add_faults(FaultRule(kind="slow", delay=60))
        waiting = asyncio.create_task(api.get("/inventory/v1/items", timeout=30))
        while not (await control.faults())[0].fired:
            pass
        started = time.monotonic()
        process.send_signal(number)
        await asyncio.to_thread(process.wait, 5)
        assert time.monotonic() - started < 1
        with pytest.raises(httpx2.HTTPError):
            (await waiting).raise_for_status()


class TestWebhooks:
    """Deliveries to a real receiver."""

    @pytest.fixture
    async def item(self, control: SandboxControl, receiver: Receiver) -> str:
        """An item, with webhooks switched on."""
        rules = WebhookRules(url=receiver.url, secret=SECRET, retry_seconds=0.01, hold_seconds=30)
        await control.set_webhooks(rules)
        return next(iter((await control.records()).items))

    async def test_signed_with_query_and_detail(self, control: SandboxControl, receiver: Receiver, item: str) -> None:
        """What arrives verifies, and is the detail of the record."""
        change = await control.update("items", item, {"name": "كيبل جديد"})
        assert (await control.settle()).settled
        ((query, headers, body),) = receiver.seen
        assert headers[SIGNATURE_HEADER.lower()] == sign(SECRET, query, body, headers["content-type"])
        assert query == "event=updated"
        assert decode(body)["item"] == (await control.records()).items[item]
        (delivery,) = await control.deliveries(record_id=item)
        assert (delivery.id, delivery.state, delivery.attempts[0].status) == (change.deliveries[0], "delivered", 202)

    async def test_retries_until_2xx(self, control: SandboxControl, receiver: Receiver, item: str) -> None:
        """Every try is in the log with the receiver's answer."""
        receiver.statuses = [500, 503]
        await control.update("items", item)
        await control.settle()
        (delivery,) = await control.deliveries()
        assert [attempt.status for attempt in delivery.attempts] == [500, 503, 202]

    async def test_gives_up(self, control: SandboxControl, receiver: Receiver, item: str) -> None:
        """After the last try the delivery has failed and is not pending."""
        receiver.statuses = [500] * 4
        await control.update("items", item)
        await control.settle()
        counts = (await control.state()).webhooks
        assert (counts.failed, counts.pending, counts.delivered) == (1, 0, 0)

    async def test_keeps_the_order_of_one_record(self, control: SandboxControl, receiver: Receiver, item: str) -> None:
        """Even when the first has to be retried."""
        receiver.statuses = [500]
        names = [f"edit {number}" for number in range(5)]
        edits = [Edit(action="update", module="items", id=item, fields={"name": name}) for name in names]
        await control.change(ChangeRequest(edits=edits))
        await control.settle()
        assert receiver.names == ["edit 0", *names]

    async def test_reorders_when_asked(self, control: SandboxControl, receiver: Receiver, item: str) -> None:
        """The earlier edit arrives after the later one."""
        await control.update("items", item, {"name": "early"}, SendSwitches(reorder=1))
        await control.update("items", item, {"name": "late"})
        assert (await control.settle()).settled
        assert receiver.names == ["late", "early"]

    async def test_duplicates_and_drops(self, control: SandboxControl, receiver: Receiver, item: str) -> None:
        """One edit twice, one never."""
        await control.update("items", item, {"name": "twice"}, SendSwitches(duplicate=1))
        await control.update("items", item, {"name": "never"}, SendSwitches(drop=1))
        await control.settle()
        assert receiver.names == ["twice", "twice"]
        assert [delivery.state for delivery in await control.deliveries()] == ["delivered", "delivered", "dropped"]

    async def test_tell_of_customers_and_not_of_vendors(self, control: SandboxControl, receiver: Receiver) -> None:
        """A workflow rule is bound to a kind of contact."""
        await control.set_webhooks(WebhookRules(url=receiver.url))
        records = await control.records()
        vendor = next(key for key in records.contacts if key not in records.customers)
        await control.update("contacts", vendor)
        deleted = await control.delete("contacts", next(iter(records.customers)))
        await control.settle()
        ((query, headers, body),) = receiver.seen
        assert (query, body) == ("event=deleted", f'{{"contact":{{"contact_id":"{deleted.id}"}}}}'.encode())
        assert SIGNATURE_HEADER.lower() not in headers
