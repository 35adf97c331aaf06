"""Builds of the application that break a promise on purpose, to prove that the campaign sees it.

Each sabotage replaces one function of the running process. The application itself has no switches: only
`tests.faults.node` applies these. Each also widens the moment that it opens to about ``_MOMENT`` seconds, so that
a fault of the campaign meets it soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import default_database
from app.core.events import event_log
from app.core.events.event import DomainEvent
from app.core.ids import new_id
from app.tds.core import apply, claims, inbox, validation
from app.tds.core.apply import Applier, BatchReport
from app.tds.core.ledger import EntityState
from app.tds.core.outcomes import ClaimedItem, End
from app.tds.workers.worker import SyncWorker

__all__ = ["SABOTAGES", "apply_sabotage"]

_MOMENT: Final = 0.05
_NEVER: Final = 2**62
_Ends = Sequence[tuple[ClaimedItem, End]]
_Finish = Callable[..., Awaitable[list[DomainEvent] | None]]


def _skip_lease_check() -> None:
    """Whatever a worker once claimed it holds for ever (P5); and it claims all, since nothing is new to it."""
    real = claims.hold

    async def newest_arrival(session: AsyncSession) -> int:
        del session
        return _NEVER

    async def hold(session: AsyncSession, items: Sequence[ClaimedItem], *, worker: str) -> claims.Held:
        return claims.Held(list(items), (await real(session, items, worker=worker)).now)

    claims.hold = hold
    claims.newest_arrival = newest_arrival


def _skip_version_guard() -> None:
    """Every change is newer than what was applied (P3)."""
    real = EntityState.accept

    def accept(self: EntityState, item: ClaimedItem, *, delete: bool) -> EntityState | None:
        accepted = real(self, item, delete=delete)
        return accepted or replace(self, deleted=delete)

    EntityState.accept = accept


def _finish_outside_transaction() -> None:
    """How a batch ended is written in a transaction of its own, after that of the effect (P2)."""
    kept: ContextVar[list[_Finish]] = ContextVar("kept")
    real = SyncWorker.process_batch

    def later(finish: _Finish) -> _Finish:
        async def keep(session: AsyncSession, ends: _Ends, **named: Any) -> list[DomainEvent]:
            del session
            kept.get().append(partial(finish, ends=ends, **named))
            return []

        return keep

    async def process_batch(self: SyncWorker, limit: int | None = None) -> BatchReport:
        finishes: list[_Finish] = []
        kept.set(finishes)
        report = await real(self, limit)
        await asyncio.sleep(_MOMENT)
        async with default_database().transaction() as session:
            for finish in finishes:
                await event_log.record(session, await finish(session) or [])
        return report

    apply.finish, apply.finish_taken = later(apply.finish), later(apply.finish_taken)
    SyncWorker.process_batch = process_batch


def _redo_after_error() -> None:
    """What was taken when a transaction broke is applied in another one, though it may be others' by now (P2)."""
    taken: ContextVar[Callable[[AsyncSession], Awaitable[BatchReport]] | None] = ContextVar("taken", default=None)
    apply_taken, process_batch = Applier.apply_taken, SyncWorker.process_batch

    async def remember(self: Applier, session: AsyncSession, items: Sequence[ClaimedItem], **named: Any) -> BatchReport:
        taken.set(lambda again: apply_taken(self, again, items, **named))
        return await apply_taken(self, session, items, **named)

    async def redo(self: SyncWorker, limit: int | None = None) -> BatchReport:
        taken.set(None)
        try:
            return await process_batch(self, limit)
        except DBAPIError:
            if (once_more := taken.get()) is not None:
                async with default_database().transaction() as session:
                    # Runs are told too: one that is never complete would hide what this is about.
                    await validation.bury(session, (), None, ends=(await once_more(session)).ends)
            raise

    Applier.apply_taken = remember
    SyncWorker.process_batch = redo


def _ack_before_commit() -> None:
    """A webhook is answered first and stored a moment later (P1)."""
    real = inbox.receive
    chosen: ContextVar[UUID] = ContextVar("chosen")
    storing: set[asyncio.Task[None]] = set()

    async def store(event_id: UUID, *arguments: Any, **named: Any) -> None:
        chosen.set(event_id)
        await asyncio.sleep(_MOMENT)
        async with default_database().transaction() as session:
            await real(session, *arguments, **named)

    async def receive(session: AsyncSession, *arguments: Any, **named: Any) -> inbox.Receipt:
        del session
        event_id = new_id()
        task = asyncio.get_running_loop().create_task(store(event_id, *arguments, **named))
        storing.add(task)
        task.add_done_callback(storing.discard)
        return inbox.Receipt(event_id, None)

    inbox.receive = receive
    inbox.new_id = chosen.get


SABOTAGES: Final[Mapping[str, Callable[[], None]]] = {
    "skip-lease-check": _skip_lease_check,
    "skip-version-guard": _skip_version_guard,
    "finish-outside-transaction": _finish_outside_transaction,
    "redo-after-error": _redo_after_error,
    "ack-before-commit": _ack_before_commit,
}


def apply_sabotage(name: str) -> None:
    """Break this process in the named way."""
    SABOTAGES[name]()
