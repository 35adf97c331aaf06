"""Queue and ledger against a plain model of the promises: any order of claims, lost leases, failures and repeats.

Three workers, each with connections of its own, take steps that Hypothesis draws. After each step what has ended must
stay ended; at the end of each history everything is worked off, and the rows must be those of the newest changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import utc_now
from app.core.config import DatabaseSettings
from app.core.database import Database
from app.tds.core import claims
from app.tds.core.apply import Applier
from app.tds.core.enqueueing import Hold, QueueEntry, enqueue_all
from app.tds.core.outcomes import ClaimedItem
from app.tds.core.ports import Applied, Assignment, Rejected
from app.tds.core.retry import RetryPolicy
from app.tds.targets.erp import ErpTarget
from app.tds.types import EntityType
from tests.support.pipeline import TIME, item_of

pytestmark = pytest.mark.integration

T = TypeVar("T")
WORKERS = ("w1", "w2", "w3")
ENTITIES = ("e1", "e2", "e3")
RECEIVED = 1.5
Change = tuple[str, int | None, bool]
CHANGES = st.tuples(st.sampled_from(ENTITIES), st.none() | st.integers(0, 3), st.sampled_from([True] + 9 * [False]))
TABLES = "tds_sync_queue, tds_entities, tds_audit_trail, tds_dead_letter_queue, event_log, erp_products"


@dataclass(frozen=True)
class Told:
    """A change as the model knows it. ``minutes`` is its source's time, None for a delete without one."""

    entity: str
    arrival: int
    minutes: int | None
    name: str | None


@dataclass
class FlakyTarget:
    """The ERP, which refuses everything as long as ``down`` is set, and never takes the name ``bad``."""

    down: bool = False
    erp: ErpTarget = field(default_factory=ErpTarget)

    async def apply(
        self, session: AsyncSession, entity_type: EntityType, assignments: Sequence[Assignment]
    ) -> Sequence[Applied | Rejected]:
        """Fail after writing, so that what was written must be undone."""
        results = await self.erp.apply(session, entity_type, assignments)
        if self.down or any(getattr(one.document, "name", "") == "bad" for one in assignments):
            raise RuntimeError("the ERP is down")
        return results


def winner(told: Sequence[Told]) -> str | None:
    """The promise in words: the greatest version, unless a delete without a time arrived after it, or was received
    later than that version was made.
    """
    versions = [one for one in told if one.minutes is not None]
    barriers = [one for one in told if one.minutes is None]
    newest = max(versions, key=lambda one: (one.minutes or 0, one.arrival), default=None)
    if newest is None or any(barrier.arrival > newest.arrival for barrier in barriers):
        return None
    if barriers and (newest.minutes or 0) <= RECEIVED:
        return None
    return newest.name


class Machine(RuleBasedStateMachine):
    """Steps of workers, sources and accidents."""

    url: ClassVar[str]

    @initialize()
    def begin(self) -> None:
        """Begin with empty tables."""
        self.runner = asyncio.Runner()
        self.database = Database(self.url, DatabaseSettings(pool_size=4))
        self.target = FlakyTarget()
        policy = RetryPolicy(max_attempts=1_000)
        self.applier = Applier({EntityType.PRODUCT: self.target}, policy=policy)
        self.told: list[Told] = []
        self.held: dict[str, list[ClaimedItem]] = {worker: [] for worker in WORKERS}
        self.ended: dict[UUID, tuple[str, str | None]] = {}
        self.failures = 0
        self.run(self.execute(f"TRUNCATE {TABLES}"))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on this machine's loop."""
        return self.runner.run(work)

    async def execute(self, sql: str, **values: object) -> list[Any]:
        """Run one statement in a transaction of its own."""
        async with self.database.transaction() as session:
            result = await session.execute(text(sql), values)
            return list(result.all()) if sql.startswith("SELECT") else []

    @rule(change=CHANGES)
    def tell(self, change: Change) -> None:
        """The source tells of a change, and it is queued: late ones and equal times included."""
        self.run(self.enqueue([self.entry(change)]))

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=4))
    def tell_to_a_worker(self, changes: Sequence[Change]) -> None:
        """A worker meets changes in the inbox, and applies them at once; where that fails, they are queued."""
        self.run(self.take_in([self.entry(change) for change in changes]))

    def entry(self, change: Change) -> QueueEntry:
        """A change told; all are received at one moment, in the midst of the source's times."""
        entity, minutes, bad = change
        arrival = len(self.told) + 1
        name = "bad" if bad else f"v{arrival}"
        if minutes is None:
            name = None
        # What is bad never takes effect: it is older than all.
        self.told.append(Told(entity, arrival, -1, None) if name == "bad" else Told(entity, arrival, minutes, name))
        return QueueEntry(
            source="zoho",
            entity_type="product",
            source_entity_id=entity,
            operation_type="upsert" if name else "delete",
            payload=f'{{"name": "{name}"}}' if name else "{}",
            version_time=None if minutes is None else TIME + timedelta(minutes=minutes),
            arrival=arrival,
            received_at=TIME + timedelta(minutes=RECEIVED),
        )

    async def enqueue(self, entries: Sequence[QueueEntry]) -> None:
        """Queue them, in one transaction."""
        async with self.database.transaction() as session:
            await enqueue_all(session, entries)

    async def take_in(self, entries: Sequence[QueueEntry]) -> None:
        """What a worker does with new events, once they are mapped."""
        items = [item_of(entry) for entry in entries]
        try:
            async with self.database.transaction() as session:
                await self.applier.apply_taken(session, items, hold=Hold("w1", 60), now=utc_now())
        except RuntimeError:
            await self.enqueue(entries)

    @rule(worker=st.sampled_from(WORKERS), limit=st.integers(1, 5))
    def claim(self, worker: str, limit: int) -> None:
        """A worker claims, and may already hold something."""
        self.run(self.take(worker, limit))

    async def take(self, worker: str, limit: int) -> None:
        """Claim, in a transaction of its own."""
        async with self.database.transaction() as session:
            self.held[worker] += await claims.claim(session, worker=worker, limit=limit, lease=60)

    @rule(worker=st.sampled_from(WORKERS))
    def apply(self, worker: str) -> None:
        """A worker applies what it believes to hold."""
        items, self.held[worker] = self.held[worker], []
        if items:
            self.run(self.apply_items(worker, items))

    async def apply_items(self, worker: str, items: Sequence[ClaimedItem]) -> None:
        """Apply, in one transaction."""
        async with self.database.transaction() as session:
            await self.applier.apply(session, items, worker=worker)

    @rule(worker=st.sampled_from(WORKERS))
    def give_back(self, worker: str) -> None:
        """A worker shuts down; it forgets what it held, or, frozen, remembers it and comes back as a zombie."""
        self.run(self.return_items(worker))

    async def return_items(self, worker: str) -> None:
        """Give back, and keep the memory of it: an apply of these must write nothing."""
        if self.held[worker]:
            async with self.database.transaction() as session:
                await claims.give_back(session, self.held[worker], worker=worker)

    @rule(worker=st.sampled_from(WORKERS))
    def freeze(self, worker: str) -> None:
        """A worker's leases end while it holds them."""
        sql = "UPDATE tds_sync_queue SET lock_expires_at = now() - interval '1s' WHERE locked_by = :worker"
        self.run(self.execute(sql, worker=worker))

    @rule()
    def rescue(self) -> None:
        """Somebody's maintenance passes by; no item is ever put into quarantine here."""
        self.run(self.rescue_lost())

    async def rescue_lost(self) -> None:
        """Return lost leases, and forget the losses: quarantine is tested elsewhere."""
        async with self.database.transaction() as session:
            await claims.rescue(session, quarantine_after=1_000)
            await session.execute(text("UPDATE tds_sync_queue SET lease_losses = 0 WHERE lease_losses > 0"))

    @rule(down=st.booleans())
    def switch(self, *, down: bool) -> None:
        """The ERP fails, or works again."""
        self.target.down = down

    @rule()
    def wait(self) -> None:
        """Time passes: retries are due."""
        self.run(self.execute("UPDATE tds_sync_queue SET next_retry_at = now() WHERE status = 'retry'"))

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        """P2, P5: an end is written once."""
        rows = self.run(self.execute("SELECT id, status, outcome FROM tds_sync_queue WHERE completed_at IS NOT NULL"))
        now = {row.id: (row.status, row.outcome) for row in rows}
        assert {key: now.get(key) for key in self.ended} == self.ended
        self.ended = now

    @invariant()
    def effects_and_their_records_agree(self) -> None:
        """P2: one audit row and one event for each change that took effect, and none for any other."""
        counts = self.run(
            self.execute(
                "SELECT (SELECT count(*) FROM tds_sync_queue WHERE outcome IN ('created', 'updated', 'deleted')), "
                "(SELECT count(DISTINCT queue_id) FROM tds_audit_trail), (SELECT count(*) FROM tds_audit_trail), "
                "(SELECT count(*) FROM event_log WHERE event_type LIKE 'tds.entity.%e')"
            )
        )[0]
        assert len(set(counts)) == 1, tuple(counts)

    def teardown(self) -> None:
        """Work everything off: the rows are those of the newest changes (P1, P3)."""
        if hasattr(self, "database"):
            try:
                self.run(self.settle())
            finally:
                self.run(self.database.dispose())
                self.runner.close()

    async def settle(self) -> None:
        """One worker, no accidents; what never can be applied is left out of the expectation."""
        self.target.down = False
        await self.execute(
            "UPDATE tds_sync_queue SET lock_expires_at = now() - interval '1s' WHERE status = 'processing'"
        )
        for _ in range(10 + 3 * len(self.told)):
            await self.rescue_lost()
            await self.execute("UPDATE tds_sync_queue SET next_retry_at = now() WHERE status = 'retry'")
            self.held["w1"] = []
            await self.take("w1", 5)
            await self.apply_items("w1", self.held["w1"]) if self.held["w1"] else None
        left = await self.execute(
            "SELECT validated_payload ->> 'name' AS name FROM tds_sync_queue WHERE completed_at IS NULL"
        )
        assert {row.name for row in left} <= {"bad"}
        found = await self.execute(
            "SELECT entity.source_entity_id AS entity, product.name FROM tds_entities AS entity "
            "JOIN erp_products AS product ON product.id::text = entity.local_id"
        )
        expected = {entity: winner([one for one in self.told if one.entity == entity]) for entity in ENTITIES}
        assert {row.entity: row.name for row in found} == {key: name for key, name in expected.items() if name}


def test_the_promises_hold_for_any_history(database_url: str) -> None:
    """P1, P2, P3 and P5 over drawn histories."""
    Machine.url = database_url
    drawn = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    run_state_machine_as_test(Machine, settings=drawn)
