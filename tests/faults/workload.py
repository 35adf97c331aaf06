"""What happens at the source during a round: a stream of changes with well and badly sent webhooks, and runs.

Everything is drawn from the round's random generator. Three things are left out on purpose, because the source
leaves the answer open there and the promise (P3) does not cover it: records whose answers carry no modification time
are not touched; a delete's webhook is neither dropped nor spoilt, since nothing else tells of it; and a record whose
modification time runs ahead of the clock (the source moves it by a second with each edit) is not deleted yet.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.sandbox.zoho.contract import Change, ChangeRequest, Edit, Module, SendSwitches
from app.sandbox.zoho.control import Records, SandboxControl
from app.sandbox.zoho.wire import decode
from app.tds.core.runs import RunAlreadyOpenError
from app.tds.core.service import TDSService
from app.tds.types import EntityType, RunMode

__all__ = ["Plan", "Population", "Runs", "Stream"]

_TICK: Final = 0.2
_AHEAD_SECONDS: Final = 1.5
_ITEMS_SHARE: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of what in one round. ``per_second`` changes; the others are shares of them."""

    per_second: int
    hot: int
    hot_share: float
    duplicate: float
    delay: float
    delay_seconds: float
    reorder: float
    numeric_id: float
    form: float
    invalid: float
    drop: float

    @classmethod
    def draw(cls, rng: random.Random) -> Plan:
        """A plan; one in four drops webhooks, which a full run must then make good."""
        return cls(
            per_second=rng.randint(20, 40),
            hot=rng.randint(4, 16),
            hot_share=rng.uniform(0.2, 0.6),
            duplicate=rng.choice((0, 0.1, 0.3)),
            delay=rng.choice((0.05, 0.2)),
            delay_seconds=rng.uniform(0.3, 1.5),
            reorder=rng.choice((0.05, 0.2)),
            numeric_id=0.2,
            form=0.1,
            invalid=rng.choice((0, 0.02, 0.05)),
            drop=rng.choice((0, 0, 0, 0.1)),
        )

    def describe(self) -> str:
        """In one line."""
        return (
            f"{self.per_second} changes/s, {self.hot} hot records get {self.hot_share:.0%}; "
            f"duplicate {self.duplicate:.0%}, "
            f"late {self.delay:.0%} by {self.delay_seconds:.1f} s, reordered {self.reorder:.0%}, "
            f"invalid {self.invalid:.0%}, dropped {self.drop:.0%}"
        )


@dataclass(slots=True)
class Population:
    """The source's records that the stream may touch: ids by module, and when each was last modified (epoch)."""

    live: dict[Module, list[str]] = field(default_factory=lambda: {"items": [], "contacts": []})
    modified: dict[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, records: Records) -> Population:
        """Those of the sandbox that say when they were modified."""
        found = cls()
        for module, rows in (("items", records.items), ("contacts", records.customers)):
            for identifier, row in rows.items():
                if row.get("last_modified_time"):
                    found.add("items" if module == "items" else "contacts", identifier, row["last_modified_time"])
        return found

    def add(self, module: Module, identifier: str, modified: str) -> None:
        """One more."""
        if identifier not in self.modified:
            self.live[module].append(identifier)
        self.modified[identifier] = datetime.fromisoformat(modified).timestamp()

    def remove(self, module: Module, identifier: str) -> None:
        """It is deleted."""
        self.live[module].remove(identifier)
        del self.modified[identifier]

    def may_be_deleted(self, identifier: str) -> bool:
        """Whether its modification time is in the past by any clock."""
        return self.modified[identifier] < time.time() - _AHEAD_SECONDS


@dataclass(slots=True)
class Stream:
    """Changes records at a steady rate until it is stopped. ``made`` tells when each delivery's change was made.

    ``told`` is the newest delivery before the stream begins, and later the newest one whose record it has taken up.
    """

    control: SandboxControl
    population: Population
    plan: Plan
    rng: random.Random
    told: int
    made: dict[int, float] = field(default_factory=dict[int, float])
    changes: int = 0
    _hot: list[tuple[Module, str]] = field(default_factory=list[tuple[Module, str]])
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Choose the records that get more than their share."""
        self._hot = [self._any() for _ in range(self.plan.hot)]

    async def run(self) -> None:
        """Change until ``stop``."""
        due = time.monotonic()
        while not self._stopping.is_set():
            await self.change(max(1, round(self.plan.per_second * _TICK)))
            due = max(due + _TICK, time.monotonic())
            await self._rest(due - time.monotonic())

    def stop(self) -> None:
        """No more after the tick in hand."""
        self._stopping.set()

    async def change(self, count: int) -> None:
        """So many changes at once."""
        async with self._turn:  # the stream's own tick, and a fault that wants a burst
            await self._change(count)

    async def _change(self, count: int) -> None:
        edits = list(self._edits(count))
        now = time.time()
        for edit, change in zip(edits, await self.control.change(ChangeRequest(edits=edits)), strict=True):
            self._saw(edit, change, now)
        if any(edit.action == "create" for edit in edits):
            await self._learn_created()

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), max(seconds, 0.001))
        except TimeoutError:
            return

    def _edits(self, count: int) -> Iterator[Edit]:
        taken: set[str] = set()  # one request is one moment: a record is touched once in it
        for _ in range(count):
            module, identifier = self._hot_one() if self.rng.random() < self.plan.hot_share else self._any()
            if identifier in taken or identifier not in self.population.modified:
                continue
            taken.add(identifier)
            yield self._edit(module, identifier)

    def _edit(self, module: Module, identifier: str) -> Edit:
        draw = self.rng.random()
        if draw < self.plan.invalid:
            return Edit(action="resend", module=module, id=identifier, send=SendSwitches(invalid=1))
        if draw > 0.92:
            return Edit(action="create", module=module, send=self._sending(create=True))
        if draw > 0.86 and self.population.may_be_deleted(identifier):
            return Edit(action="delete", module=module, id=identifier, send=SendSwitches(duplicate=self.plan.duplicate))
        return Edit(action="update", module=module, id=identifier, send=self._sending())

    def _sending(self, *, create: bool = False) -> SendSwitches:
        """A created record may carry no modification time: its first webhook is never the later one."""
        plan = self.plan
        return SendSwitches(
            duplicate=plan.duplicate,
            delay=0 if create else plan.delay,
            delay_seconds=plan.delay_seconds,
            reorder=0 if create else plan.reorder,
            numeric_id=plan.numeric_id,
            form=plan.form,
            drop=plan.drop,
        )

    def _any(self) -> tuple[Module, str]:
        module: Module = "items" if self.rng.random() < _ITEMS_SHARE else "contacts"
        return module, self.rng.choice(self.population.live[module])

    def _hot_one(self) -> tuple[Module, str]:
        place = self.rng.randrange(len(self._hot))
        if self._hot[place][1] not in self.population.modified:
            self._hot[place] = self._any()
        return self._hot[place]

    def _saw(self, edit: Edit, change: Change, now: float) -> None:
        self.changes += 1
        self.made.update(dict.fromkeys(change.deliveries, now))
        if edit.action == "update":
            self.population.add(change.module, change.id, change.last_modified_time)
        elif edit.action == "delete":
            self.population.remove(change.module, change.id)

    async def _learn_created(self) -> None:
        """Take up what was created, unless it carries no modification time: its webhook tells."""
        for delivery in await self.control.deliveries(event="created", after=self.told):
            self.told = max(self.told, delivery.id)
            record = _record_of(delivery.body) if delivery.content_type.startswith("application/json") else {}
            if record.get("last_modified_time") and delivery.record_id not in self.population.modified:
                self.population.add(delivery.module, delivery.record_id, record["last_modified_time"])


def _record_of(body: str) -> dict[str, Any]:
    return next(iter(decode(body.encode()).values()))


@dataclass(slots=True)
class Runs:
    """Asks for runs as a person or a schedule would: through the service, for whichever worker takes them."""

    url: str
    rng: random.Random
    database: Database | None = None

    def open(self) -> None:
        """Open the connection pool."""
        self.database = Database(self.url, DatabaseSettings(pool_size=2, application_name="tds-faults"))

    async def aclose(self) -> None:
        """Close it."""
        if self.database is not None:
            await self.database.dispose()

    async def request(self, entity: EntityType, mode: RunMode) -> bool:
        """Ask for one; False where one is open already."""
        assert self.database is not None
        async with self.database.session() as session:
            try:
                await TDSService(session).request_sync_run(source="zoho", entity_type=entity, mode=mode)
            except RunAlreadyOpenError:
                return False
        return True

    async def request_both(self) -> None:
        """A full run of one entity beside an incremental one of the other."""
        full, incremental = self.rng.sample((EntityType.PRODUCT, EntityType.CUSTOMER), 2)
        await self.request(full, RunMode.FULL)
        await self.request(incremental, RunMode.INCREMENTAL)
