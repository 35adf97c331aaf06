"""The stream of changes, against a sandbox in this process."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator

import httpx2
import pytest

from app.sandbox.zoho import SandboxConfig
from app.sandbox.zoho.application import create_app
from app.sandbox.zoho.control import SandboxControl
from tests.faults.workload import Plan, Population, Stream


@pytest.fixture
async def control() -> AsyncGenerator[SandboxControl]:
    """The control API of a small sandbox that sends no webhooks."""
    transport = httpx2.ASGITransport(app=create_app(SandboxConfig(products=60, customers=30)))
    client = httpx2.AsyncClient(transport=transport, base_url="http://sandbox")
    async with SandboxControl("http://sandbox", client=client) as found:
        yield found


async def _stream(control: SandboxControl, seed: int = 1) -> Stream:
    rng = random.Random(seed)
    return Stream(control, Population.of(await control.records()), Plan.draw(rng), rng, 0)


class TestPlan:
    """What a round is made of."""

    def test_is_drawn_from_the_generator_alone(self) -> None:
        """The same seed gives the same plan."""
        assert Plan.draw(random.Random("1/1")) == Plan.draw(random.Random("1/1"))


class TestPopulation:
    """The records that may be touched."""

    async def test_leaves_out_records_without_a_modification_time(self, control: SandboxControl) -> None:
        """Nobody could tell which of their versions is newer."""
        records = await control.records()
        untimed = {key for key, row in records.items.items() if not row.get("last_modified_time")}
        assert untimed
        assert untimed.isdisjoint(Population.of(records).modified)

    async def test_leaves_out_vendors(self, control: SandboxControl) -> None:
        """They are not synchronised."""
        records = await control.records()
        assert set(Population.of(records).live["contacts"]) <= set(records.customers)

    async def test_spares_what_was_modified_a_moment_ago(self, control: SandboxControl) -> None:
        """The source's times run ahead of the clock by a second an edit: a delete would look older than they."""
        population = Population.of(await control.records())
        calm, edited = population.live["items"][:2]
        for _ in range(3):
            change = await control.update("items", edited)
            population.add("items", edited, change.last_modified_time)
        assert population.may_be_deleted(calm)
        assert not population.may_be_deleted(edited)


class TestStream:
    """The changes."""

    async def test_changes_the_source_and_follows_it(self, control: SandboxControl) -> None:
        """After hundreds of changes it still knows what lives."""
        stream = await _stream(control)
        for _ in range(40):
            await stream.change(8)
        records = await control.records()
        assert stream.changes > 200
        assert set(stream.population.live["items"]) <= set(records.items)
        assert records.deleted["items"]
