"""A campaign: rounds of work and faults on one set of processes and one database, every promise checked after each."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.sandbox.zoho.contract import Delivery
from app.tds.types import EntityType, RunMode
from tests.faults import breakage
from tests.faults.cluster import Cluster, NodeError
from tests.faults.faults import Scene, strike
from tests.faults.postgres import Postgres
from tests.faults.promises import CHECKS
from tests.faults.promises.evidence import Evidence, History, Violation
from tests.faults.report import RoundResult
from tests.faults.timeline import timeline
from tests.faults.workload import Plan, Population, Runs, Stream
from tests.support.postgres import temporary_home

__all__ = ["Campaign", "opened"]

assert breakage.__all__, "importing it registers the faults"

_WARM_SECONDS: Final = 2.0
_AFTER_SECONDS: Final = 3.0
_REST_SECONDS: Final = 30.0
_SENDING_SECONDS: Final = 60.0
"""The source waits twice as long before each try of a delivery: half a minute before the eighth."""
_POLL: Final = 0.05
_SHOWN_TIMELINES: Final = 3
_LOADED: Final = (EntityType.PRODUCT, EntityType.CUSTOMER)

_UNENDED: Final = """
    SELECT id, entity_type, status, scan_completed, processed_events, total_events, locked_by
    FROM tds_sync_runs WHERE managed AND status IN ('pending', 'processing') ORDER BY created_at LIMIT 5
"""
_UNREST: Final = """
    SELECT (SELECT count(*) FROM tds_inbox_events WHERE status IN ('pending', 'queued')) AS events,
           (SELECT count(*) FROM tds_sync_queue WHERE status IN ('pending', 'processing', 'retry')) AS items,
           (SELECT count(*) FROM tds_sync_runs WHERE managed AND status IN ('pending', 'processing')) AS runs
"""


@dataclass(slots=True)
class Campaign:
    """Runs rounds; ``say`` gets a line for a person from time to time."""

    cluster: Cluster
    postgres: Postgres
    seed: int
    say: Callable[[str], None]
    history: History = field(default_factory=History)
    _told: int = 0
    """The newest delivery that an earlier round has looked at."""

    async def load(self) -> None:
        """Read the source in full once, so that rounds begin with both sides alike."""
        runs = Runs(self.postgres.url, random.Random(0))
        runs.open()
        try:
            for entity in _LOADED:
                await runs.request(entity, RunMode.FULL)
            if (lateness := await self._rest()) is not None:
                raise NodeError(f"the first load does not end: {lateness}\n{self.logs()}")
        finally:
            await runs.aclose()

    async def round(self, number: int, faults: tuple[str, ...]) -> RoundResult:
        """Work, break, mend, come to rest, check."""
        started = time.monotonic()
        rng = random.Random(f"{self.seed}/{number}")
        records = await self.cluster.control.records()
        stream = Stream(self.cluster.control, Population.of(records), Plan.draw(rng), rng, self._told)
        runs = Runs(self.postgres.url, random.Random(f"{self.seed}/{number}/runs"))
        runs.open()
        async with AsyncExitStack() as until_round_end:
            until_round_end.push_async_callback(runs.aclose)
            scene = Scene(
                self.cluster,
                self.postgres,
                self.cluster.control,
                stream,
                runs,
                self.history,
                random.Random(f"{self.seed}/{number}/faults"),
                until_round_end,
            )
            evidence = await self._play(scene, faults)
            violations = [violation for check in CHECKS for violation in await check(evidence)]
            if violations:
                self.say(f"\nVIOLATED in round {number} of seed {self.seed}: {' + '.join(faults)}")
                await self._explain(scene, evidence, violations)
        seconds = time.monotonic() - started
        return RoundResult(number, faults, seconds, stream.changes, evidence.recovery, violations, scene.notes)

    async def _play(self, scene: Scene, faults: tuple[str, ...]) -> Evidence:
        working = asyncio.create_task(scene.stream.run())
        try:
            await scene.runs.request_both()
            await asyncio.sleep(_WARM_SECONDS)
            fault_began = time.time()
            async with asyncio.TaskGroup() as group:
                for name in faults:
                    group.create_task(strike(name, scene))
            fault_ended = time.time()
            self.cluster.revive()
            await asyncio.sleep(_AFTER_SECONDS)
        finally:
            scene.stream.stop()
            await working
        lateness = await self._settle(scene)
        connection = await scene.until_round_end.enter_async_context(self.postgres.connection())
        return Evidence(
            connection=connection,
            deliveries=await self._deliveries(),
            records=await scene.control.records(),
            made=scene.stream.made,
            workers={node.name: node.pid for node in self.cluster.workers},
            fault_began=fault_began,
            fault_ended=fault_ended,
            rng=scene.rng,
            history=self.history,
            lateness=lateness,
        )

    async def _deliveries(self) -> list[Delivery]:
        deliveries = await self.cluster.control.deliveries(after=self._told)
        self._told = max((one.id for one in deliveries), default=self._told)
        return deliveries

    async def _settle(self, scene: Scene) -> str | None:
        """Let everything come to rest; where webhooks were dropped, have full runs find what they would have told."""
        settled = await scene.control.settle(_SENDING_SECONDS)
        if not settled.settled:
            return f"{settled.pending} webhooks could not be delivered within {_SENDING_SECONDS:.0f} s"
        lateness = await self._rest()
        if lateness is None and scene.stream.plan.drop:
            for entity in _LOADED:
                await scene.runs.request(entity, RunMode.FULL)
            lateness = await self._rest()
        return lateness

    async def _rest(self) -> str | None:
        """Wait until nothing is unfinished; why not, if the time runs out."""
        deadline = time.monotonic() + _REST_SECONDS
        async with self.postgres.connection() as connection:
            while True:
                row = await connection.fetchrow(_UNREST)
                assert row is not None
                if not any(row.values()):
                    return None
                if time.monotonic() > deadline:
                    unfinished = [f"{n} {name}" for name, n in row.items()]
                    unfinished += [f"run {dict(run)}" for run in await connection.fetch(_UNENDED)]
                    return f"no rest within {_REST_SECONDS:.0f} s: {', '.join(unfinished)}"
                await asyncio.sleep(_POLL)

    async def _explain(self, scene: Scene, evidence: Evidence, violations: list[Violation]) -> None:
        """Print what was violated, and the stories of the entities concerned."""
        self.say(f"workload: {scene.stream.plan.describe()}")
        for note in scene.notes:
            self.say(f"fault: {note}")
        for violation in violations[:20]:
            self.say(f"  {violation.promise}: {violation.what}")
        concerned = dict.fromkeys(one.entity for one in violations if one.entity is not None)
        for entity in list(concerned)[:_SHOWN_TIMELINES]:
            story = await timeline(evidence.connection, entity, evidence.deliveries)
            self.say(f"\ntimeline of {entity[0]} {entity[1]}:\n{story}")

    def logs(self) -> str:
        """The end of what each process said."""
        return "\n".join(f"--- {node.name}\n{node.tail()}" for node in self.cluster.nodes.values())


@asynccontextmanager
async def opened(seed: int, say: Callable[[str], None], *, keep: bool = False) -> AsyncGenerator[Campaign]:
    """A campaign with everything started and loaded; all of it is ended, and removed unless kept, at the end."""
    home = temporary_home()
    postgres = Postgres(home)
    cluster = Cluster(home, postgres, seed)
    try:
        await postgres.start()
        await cluster.start()
        campaign = Campaign(cluster, postgres, seed, say)
        await campaign.load()
        yield campaign
    finally:
        await _close(cluster, postgres)
        _remove(home, say, keep=keep)


async def _close(cluster: Cluster, postgres: Postgres) -> None:
    try:
        await cluster.aclose()
    finally:
        await postgres.stop()


def _remove(home: Path, say: Callable[[str], None], *, keep: bool) -> None:
    if keep:
        say(f"kept: {home}")
    else:
        shutil.rmtree(home, ignore_errors=True)
