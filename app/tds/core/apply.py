"""Apply a claimed batch: ledger, target, audit, events, counters and finish, all in the caller's transaction.

A batch is a fixed number of statements, however many items it holds. What was not written is not claimed to be:
an item whose lease is lost by now is left out of everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import random
from time import monotonic
from typing import Any
from uuid import UUID

from msgspec.structs import replace
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.events import event_log
from app.core.events.event import DomainEvent
from app.core.ids import new_id
from app.tds.core import claims, ledger, waiting
from app.tds.core.audit import AuditEntry, record_audit
from app.tds.core.bisection import Failed, write_in_halves
from app.tds.core.dead_letters import Letter, record_letters, resolve_superseded
from app.tds.core.enqueueing import Hold
from app.tds.core.errors import FieldError
from app.tds.core.events import TDSEntityFailedEvent, TDSEntitySyncedEvent
from app.tds.core.finishing import finish, finish_taken
from app.tds.core.ledger import EntityState, Folded, Key, ParsedItem
from app.tds.core.outcomes import ClaimedItem, Dead, Done, End, GiveBack, Retry
from app.tds.core.ports import Applied, Assignment, Rejected, Target
from app.tds.core.retry import RetryPolicy, decide
from app.tds.core.waiting import MissingParents, park
from app.tds.documents import DOCUMENTS
from app.tds.types import EntityType, OperationType, Outcome

__all__ = ["Applier", "BatchReport"]

_OPERATIONS = {
    Outcome.CREATED: OperationType.CREATE,
    Outcome.UPDATED: OperationType.UPDATE,
    Outcome.DELETED: OperationType.DELETE,
}


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of a batch: items and their ends; ``lost`` had no lease any more, ``refused`` events of the inbox
    never became items.
    """

    ends: Sequence[tuple[ClaimedItem, End]] = ()
    lost: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Work:
    """What one transaction has gathered to write at its end. ``now`` is the database's time; ``hold`` is given where
    the items are in no queue yet.
    """

    worker: str
    now: datetime
    hold: Hold | None = None
    begun: float = field(default_factory=monotonic)
    ends: dict[UUID, End] = field(default_factory=dict[UUID, End])
    states: list[EntityState] = field(default_factory=list[EntityState])
    opened: Mapping[Key, Folded] = field(default_factory=dict[Key, Folded])
    audit: list[AuditEntry] = field(default_factory=list[AuditEntry])
    events: list[DomainEvent] = field(default_factory=list[DomainEvent])
    came: list[str] = field(default_factory=list[str])
    unusable: list[tuple[ClaimedItem, Dead]] = field(default_factory=list[tuple[ClaimedItem, Dead]])

    def time(self) -> datetime:
        """What the database's clock shows by now."""
        return self.now + timedelta(seconds=monotonic() - self.begun)

    def unsaved(self) -> list[EntityState]:
        """What the ledger does not say yet: all but what was opened and then applied as foreseen."""
        left = set(self.opened).difference(state.key for state in self.states)
        foreseen = {key: folded.state for key, folded in self.opened.items()}
        changed = [state for state in self.states if foreseen.get(state.key) != state]
        return changed + [EntityState(*key) for key in left]

    def fail(self, folded: Folded, end: End) -> None:
        """The newest item of an entity was not applied: the ones it overtook get their own chance."""
        self.ends[_newest(folded).id] = end
        self.ends |= {older.id: GiveBack() for older in folded.overtaken}


@dataclass(slots=True)
class Applier:
    """How batches are applied: where to, and what to do with failures."""

    targets: Mapping[EntityType, Target]
    policies: Mapping[EntityType, RetryPolicy] = field(default_factory=dict[EntityType, RetryPolicy])
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    parents: MissingParents = field(default_factory=MissingParents)
    random: Callable[[], float] = random
    _known: bool = field(default=True, init=False)
    """Whether all entities of the last batch from the inbox had ledger rows."""

    async def apply(self, session: AsyncSession, items: Sequence[ClaimedItem], *, worker: str) -> BatchReport:
        """Apply all items whose lease the worker still holds; ``worker`` stands in the audit trail."""
        held = await claims.hold(session, items, worker=worker)
        if not held.items:
            return BatchReport(lost=len(items))
        work = _Work(worker, held.now)
        await self._apply_all(session, held.items, work)
        return BatchReport([(item, work.ends[item.id]) for item in held.items], len(items) - len(held.items))

    async def apply_taken(
        self, session: AsyncSession, items: Sequence[ClaimedItem], *, hold: Hold, now: datetime
    ) -> BatchReport:
        """Apply items that are in no queue yet, and queue them as they end: all of them, or none.

        The transaction holds their inbox events, and it began at ``now``, the database's time. What has to be tried
        again is queued under ``hold`` first. Errors are not taken apart: whose they are shows when they are queued.
        Runs are not counted: `count_taken` does so for all that the transaction has taken.

        Raises:
            Exception: whatever a target raises.
        """
        if not items:
            return BatchReport()
        work = _Work(hold.worker, now, hold)
        await self._apply_all(session, items, work)
        return BatchReport([(item, work.ends[item.id]) for item in items])

    async def _apply_all(self, session: AsyncSession, items: Sequence[ClaimedItem], work: _Work) -> None:
        parsed = self._parse(items, work)
        if parsed or work.unusable:
            await self._apply_parsed(session, parsed, work)
        await self._write(session, items, work)

    def _parse(self, batch: Sequence[ClaimedItem], work: _Work) -> list[ParsedItem]:
        parsed: list[ParsedItem] = []
        for item in batch:
            result = park(item, work.now) if item.paused else self._parse_one(item)
            match result:
                case ParsedItem():
                    parsed.append(result)
                case Dead() if item.entity_type in self.targets:
                    work.unusable.append((item, result))
                case _:
                    work.ends[item.id] = result
        return parsed

    def _parse_one(self, item: ClaimedItem) -> ParsedItem | Dead:
        if item.entity_type not in self.targets:
            return Dead("unsupported_entity", f"TDS does not apply entities of type {item.entity_type!r}", spent=0)
        if item.operation_type is OperationType.DELETE:
            return ParsedItem(item, None)
        if item.document is not None:
            return ParsedItem(item, item.document)
        try:
            return ParsedItem(item, DOCUMENTS[EntityType(item.entity_type)].model_validate_json(item.payload))
        except ValidationError as error:
            return _invalid(error)

    async def _apply_parsed(self, session: AsyncSession, parsed: Sequence[ParsedItem], work: _Work) -> None:
        grouped = ledger.group(parsed)
        keys = {*grouped, *(item.key for item, _ in work.unusable)}
        states = await self._lock(session, grouped, keys, work)
        for item, dead in work.unusable:
            # What cannot be used need not be, where something newer has been applied.
            delete = item.operation_type is OperationType.DELETE
            newer = states[item.key].accept(item, delete=delete)
            work.ends[item.id] = dead if newer else Done(Outcome.SUPERSEDED, states[item.key].local_id)
        newest: list[Folded] = []
        for key, items in grouped.items():
            folded = work.opened.get(key) or ledger.fold(states[key], items)
            for item in (*folded.superseded, *folded.overtaken):
                work.ends[item.id] = Done(Outcome.SUPERSEDED, folded.state.local_id)
            if folded.newest is not None:
                newest.append(folded)
            elif folded.state != folded.before:
                work.states.append(folded.state)
        known = await waiting.resolve(session, newest)
        # A parent that is only foreseen may yet fail: its children wait, and are woken by it a moment later.
        known = {key: local_id for key, local_id in known.items() if key not in work.opened}
        by_type: defaultdict[str, list[Folded]] = defaultdict(list)
        for folded in newest:
            if (missing := _missing(folded, known)) is None:
                by_type[folded.state.entity_type].append(folded)
            else:
                work.fail(folded, self.parents.decide(_newest(folded), missing, work.now))
        for entity_type in sorted(by_type):
            await self._apply_type(session, EntityType(entity_type), by_type[entity_type], known, work)

    async def _lock(
        self, session: AsyncSession, grouped: Mapping[Key, Sequence[ParsedItem]], keys: Collection[Key], work: _Work
    ) -> dict[Key, EntityState]:
        """The ledger's rows of these entities, locked. What comes straight from the inbox may be new: where the last
        such batch was not, this is not expected to be, and else rows are opened for what is.
        """
        states: dict[Key, EntityState] = {}
        if work.hold:
            if self._known and (known := await ledger.lock_all(session, keys)) is not None:
                return known
            states = await self._open(session, grouped, keys, work)
            self._known = not states
        return states | await ledger.lock(session, sorted(key for key in keys if key not in states))

    async def _open(
        self, session: AsyncSession, grouped: Mapping[Key, Sequence[ParsedItem]], keys: Collection[Key], work: _Work
    ) -> dict[Key, EntityState]:
        """Rows for new entities, written once, as they are to be, with the id that the local row will have."""
        new = (ledger.fold(EntityState(*key, local_id=str(new_id())), items) for key, items in grouped.items())
        foreseen = {folded.state.key: folded for folded in new if folded.document is not None}
        rows = [foreseen[key].state if key in foreseen else EntityState(*key) for key in keys]
        opened = await ledger.open_as(session, rows)
        work.opened = {key: foreseen[key] for key in opened if key in foreseen}
        return {key: foreseen[key].before if key in foreseen else EntityState(*key) for key in opened}

    async def _apply_type(
        self,
        session: AsyncSession,
        entity_type: EntityType,
        group: Sequence[Folded],
        known: Mapping[Key, str],
        work: _Work,
    ) -> None:
        target = self.targets[entity_type]

        async def write(part: Sequence[Folded]) -> Sequence[Applied | Rejected]:
            return await target.apply(
                session,
                entity_type,
                [_assignment(folded, known, new=folded.state.key in work.opened) for folded in part],
            )

        results = await (write(group) if work.hold else write_in_halves(session, group, write))
        for folded, result in zip(group, results, strict=True):
            if isinstance(result, Applied):
                _note_applied(folded, result, work)
            else:
                work.fail(folded, self._failure(_newest(folded), result, work.now))

    def _failure(self, item: ClaimedItem, result: Rejected | Failed, now: datetime) -> End:
        if isinstance(result, Rejected):
            reason = "; ".join(f"{error.field}: {error.message}" for error in result.errors)
            return Dead(result.code, reason, result.errors)
        policy = self.policies.get(EntityType(item.entity_type), self.policy)
        return decide(policy, item.attempts, result.error, now=now, random=self.random)

    async def _write(self, session: AsyncSession, batch: Sequence[ClaimedItem], work: _Work) -> None:
        await ledger.save(session, work.unsaved())
        await record_audit(session, work.audit)
        letters = [Letter.of_item(item, end) for item in batch if isinstance(end := work.ends[item.id], Dead)]
        work.events += await record_letters(session, letters)
        work.events += await resolve_superseded(session, work.states)
        work.events += [_failed(item, end) for item in batch if isinstance(end := work.ends[item.id], Retry)]
        ends = [(item, work.ends[item.id]) for item in batch]
        if work.hold:
            await finish_taken(session, ends, hold=work.hold, now=work.time())
        else:
            work.events += await finish(session, ends, worker=work.worker, now=work.time())
        await waiting.wake(session, work.came)
        await event_log.record(session, work.events)


def _newest(folded: Folded) -> ClaimedItem:
    assert folded.newest is not None  # noqa: S101 - only folded changes with a newest item come this far
    return folded.newest


def _missing(folded: Folded, known: Mapping[Key, str]) -> Key | None:
    return next((key for key in waiting.wanted(folded).values() if key not in known), None)


def _assignment(folded: Folded, known: Mapping[Key, str], *, new: bool) -> Assignment:
    state = folded.state
    return Assignment(
        source=state.source,
        source_entity_id=state.source_entity_id,
        local_id=state.local_id,
        document=folded.document,
        references={name: known[key] for name, key in waiting.wanted(folded).items()},
        fresh=folded.fresh,
        new=new,
    )


def _note_applied(folded: Folded, applied: Applied, work: _Work) -> None:
    item, state = _newest(folded), folded.state
    if applied.local_id not in (None, state.local_id):
        state = replace(state, local_id=applied.local_id)
    work.states.append(state)
    if applied.outcome is Outcome.CREATED:
        work.came.append(waiting.for_entity(state.key))
    work.ends[item.id] = Done(applied.outcome, state.local_id)
    operation = _OPERATIONS.get(applied.outcome)
    if operation is None or applied.local_id is None:
        return
    work.audit.append(_entry(item, applied, applied.local_id, operation, work.worker))
    work.events.append(
        TDSEntitySyncedEvent(
            entity_type=item.entity_type,
            entity_id=applied.local_id,
            source_entity_id=item.source_entity_id,
            operation=operation,
            changes=applied.after or {},
            correlation_id=item.trace_id,
        )
    )


def _entry(item: ClaimedItem, applied: Applied, local_id: str, operation: OperationType, worker: str) -> AuditEntry:
    return AuditEntry(
        entity_type=item.entity_type,
        entity_id=local_id,
        source_entity_id=item.source_entity_id,
        operation=operation,
        before=applied.before,
        after=applied.after,
        changed=applied.changed,
        change_source=item.source,
        actor=worker,
        queue_id=item.id,
        run_id=item.run_id,
    )


def _failed(item: ClaimedItem, end: Retry) -> TDSEntityFailedEvent:
    return TDSEntityFailedEvent(
        entity_type=item.entity_type,
        source_entity_id=item.source_entity_id,
        queue_id=str(item.id),
        error=end.reason,
        attempts=item.attempts + 1,
        next_retry_at=end.at.isoformat(),
    )


def _invalid(error: ValidationError) -> Dead:
    details: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [
        FieldError(".".join(str(part) for part in detail["loc"]), detail["msg"], detail["type"]) for detail in details
    ]
    reason = "; ".join(f"{e.field}: {e.message}" if e.field else e.message for e in errors)
    return Dead("invalid_document", reason[:2_000], errors)
