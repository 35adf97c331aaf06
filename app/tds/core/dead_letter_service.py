"""Working on dead letters: find, look at, edit, try, reprocess, resolve; one by one or by the thousand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import lazyload

from app.core.database import join_or_begin
from app.core.errors import ConfigurationError, ConflictError, InvalidError, NotFoundError
from app.tds.core import jobs, live
from app.tds.core.apply import Applier
from app.tds.core.audit import record_action
from app.tds.core.dry_run import DryRun, refused, try_entry
from app.tds.core.enqueueing import QueueEntry
from app.tds.core.errors import FieldError, MappingError
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.core.letter_groups import LetterGroup, read_groups
from app.tds.core.letter_work import (
    Closing,
    audit_letter,
    close_letters,
    document_errors,
    make_entry,
    payload_text,
    raw_events,
)
from app.tds.core.ports import Source
from app.tds.models import TDSAuditTrail, TDSDeadLetterQueue, TDSJob, TDSSyncQueue

__all__ = [
    "DeadLetterNotFoundError",
    "DeadLetterResolvedError",
    "DeadLetterService",
    "LetterChangedError",
    "checked_note",
    "revision",
]

_LONGEST_NOTE: Final = 2_000


class DeadLetterNotFoundError(NotFoundError):
    """There is no dead letter of that id."""


class DeadLetterResolvedError(ConflictError):
    """This dead letter has been resolved already."""


class LetterChangedError(ConflictError):
    """Somebody has changed this dead letter meanwhile; ``changed_by`` is who, where that is known."""

    def __init__(self, changed_by: str | None) -> None:
        self.changed_by = changed_by
        super().__init__(f"{changed_by or 'somebody'} has changed this dead letter meanwhile: look at it again")


def revision(letter: TDSDeadLetterQueue) -> str:
    """A mark of the letter's state as a person sees it: handed back with an edit, it tells whether that is still so."""
    state = orjson.dumps([letter.last_payload, letter.resolved], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(state).hexdigest()[:16]


def checked_note(note: str) -> str:
    """The note, trimmed.

    Raises:
        InvalidError: there is none, or it is no note but a book.
    """
    trimmed = note.strip()
    if not trimmed:
        raise InvalidError("a note is needed: whoever looks later wants to know why")
    if len(trimmed) > _LONGEST_NOTE or "\x00" in trimmed:
        raise InvalidError(f"a note holds at most {_LONGEST_NOTE} characters, none of them NUL")
    return trimmed


class DeadLetterService:
    """Dead letters on the caller's session: in a transaction of the caller's it joins, else it commits.

    ``sources`` map again what never became a document; ``applier`` is how changes are applied, for dry runs.
    """

    def __init__(
        self, db: AsyncSession, sources: Mapping[str, Source] | None = None, applier: Applier | None = None
    ) -> None:
        self.db = db
        self.sources = sources or {}
        self.applier = applier

    async def find(
        self, criteria: LetterCriteria | None = None, *, before: UUID | None = None, limit: int = 50
    ) -> list[TDSDeadLetterQueue]:
        """Letters, newest first, open ones unless asked otherwise; ``before`` is the last id of the page before."""
        letter = TDSDeadLetterQueue
        query = select(letter).where(*(criteria or LetterCriteria()).conditions())
        if before is not None:
            query = query.where(letter.id < before)
        query = query.options(lazyload(letter.sync_queue)).order_by(letter.id.desc()).limit(limit)
        async with join_or_begin(self.db):
            return list((await self.db.execute(query)).scalars())

    async def count(self, criteria: LetterCriteria | None = None) -> int:
        """How many there are."""
        conditions = (criteria or LetterCriteria()).conditions()
        query = select(func.count()).select_from(TDSDeadLetterQueue).where(*conditions)
        async with join_or_begin(self.db):
            return (await self.db.execute(query)).scalar_one()

    async def groups(self, criteria: LetterCriteria | None = None, *, limit: int = 50) -> Sequence[LetterGroup]:
        """Those that failed in the same way together, the largest groups first."""
        async with join_or_begin(self.db):
            return await read_groups(self.db, criteria or LetterCriteria(), limit=limit)

    async def get(self, letter_id: UUID | str) -> TDSDeadLetterQueue:
        """One letter.

        Raises:
            DeadLetterNotFoundError: no such letter.
        """
        async with join_or_begin(self.db):
            return await self._get(letter_id, lock=False)

    def validate(self, letter: TDSDeadLetterQueue, payload: Mapping[str, Any] | None = None) -> list[FieldError]:
        """Everything wrong with the letter's document, or with ``payload`` in its place, by field."""
        return document_errors(letter, letter.last_payload or {} if payload is None else payload)

    async def dry_run(self, letter_id: UUID | str, payload: Mapping[str, Any] | None = None) -> DryRun:
        """What reprocessing would change: the real apply, undone. Nothing stays, and nobody hears of it.

        Raises:
            DeadLetterNotFoundError: no such letter.
            EntityBusyError: a worker is at this entity.
            ConfigurationError: this service was given no applier.
        """
        if self.applier is None:
            raise ConfigurationError("a dry run needs the applier of this process")
        async with join_or_begin(self.db):
            letter = await self._get(letter_id, lock=False)
            try:
                entry = await self._entry(letter, payload)
            except MappingError as error:
                return refused(letter.entity_type, letter.source_entity_id, error)
            return await try_entry(self.db, entry, self.applier)

    async def edit(
        self, letter_id: UUID | str, payload: Mapping[str, Any], *, actor: str, expected: str | None = None
    ) -> TDSDeadLetterQueue:
        """Keep a document for later, mended or half mended; ``validate`` tells what is still wrong with it.

        ``expected`` is the ``revision`` that the edit began from. The payload as it came is never touched.

        Raises:
            DeadLetterNotFoundError, DeadLetterResolvedError: no such open letter.
            LetterChangedError: somebody was faster.
            InvalidError: what no database can hold.
        """
        kept: dict[str, Any] = orjson.loads(payload_text(payload))
        async with join_or_begin(self.db):
            letter = await self._open(letter_id, expected)
            if kept != letter.last_payload:
                before, after = {"last_payload": letter.last_payload}, {"last_payload": kept}
                letter.last_payload = kept
                await self.db.flush()
                await record_action(self.db, [audit_letter(letter, before, after, actor)])
        return letter

    async def reprocess(
        self,
        letter_id: UUID | str,
        *,
        payload: Mapping[str, Any] | None = None,
        actor: str = "tds",
        expected: str | None = None,
    ) -> TDSSyncQueue:
        """Queue a letter's change again, first in line, and resolve the letter; ``payload`` replaces its document.

        The new item keeps the letter's version: if something newer has been applied meanwhile, that wins.

        Raises:
            DeadLetterNotFoundError, DeadLetterResolvedError: no such open letter.
            LetterChangedError: it is not what ``expected`` says any more.
            MappingError: the document, or the raw event, still cannot be used; the letter stays as it is.
        """
        async with join_or_begin(self.db):
            letter = await self._open(letter_id, expected)
            entry = await self._entry(letter, payload)
            closing = Closing(letter=letter, note=f"Queued again as {entry.id}.", entry=entry, payload=payload)
            await close_letters(self.db, [closing], actor=actor)
            await self._get(letter_id, lock=False)
            item = (await self.db.execute(select(TDSSyncQueue).where(TDSSyncQueue.id == entry.id))).scalar_one()
        live.follow(item)
        return item

    async def resolve(self, letter_id: UUID | str, *, note: str, actor: str = "tds") -> TDSDeadLetterQueue:
        """Close a letter without doing anything about it; the note says why.

        Raises:
            DeadLetterNotFoundError, DeadLetterResolvedError: no such open letter.
            InvalidError: the note is empty.
        """
        closing_note = checked_note(note)
        async with join_or_begin(self.db):
            letter = await self._open(letter_id, None)
            await close_letters(self.db, [Closing(letter=letter, note=closing_note)], actor=actor)
            return await self._get(letter_id, lock=False)

    async def reprocess_all(self, criteria: LetterCriteria, *, actor: str) -> TDSJob:
        """Ask for a job that reprocesses all open letters that these criteria choose now; workers carry it out."""
        return await jobs.request_job(self.db, "reprocess_letters", criteria, note=None, actor=actor)

    async def resolve_all(self, criteria: LetterCriteria, *, note: str, actor: str) -> TDSJob:
        """Ask for a job that resolves all open letters that these criteria choose now; workers carry it out.

        Raises:
            InvalidError: the note is empty.
        """
        return await jobs.request_job(self.db, "resolve_letters", criteria, note=checked_note(note), actor=actor)

    async def _get(self, letter_id: UUID | str, *, lock: bool) -> TDSDeadLetterQueue:
        query = select(TDSDeadLetterQueue).where(TDSDeadLetterQueue.id == letter_id)
        if lock:
            query = query.with_for_update()
        letter = (await self.db.execute(query, execution_options={"populate_existing": True})).scalar_one_or_none()
        if letter is None:
            raise DeadLetterNotFoundError
        return letter

    async def _open(self, letter_id: UUID | str, expected: str | None) -> TDSDeadLetterQueue:
        """The letter under lock, as the caller expects it."""
        letter = await self._get(letter_id, lock=True)
        if expected is not None and expected != revision(letter):
            raise LetterChangedError(await self._changed_by(letter))
        if letter.resolved:
            raise DeadLetterResolvedError
        return letter

    async def _changed_by(self, letter: TDSDeadLetterQueue) -> str | None:
        audit = TDSAuditTrail
        query = select(audit.actor).where(audit.entity_id == str(letter.id), audit.entity_type == "dead_letter")
        return letter.resolved_by or await self.db.scalar(query.order_by(audit.id.desc()).limit(1))

    async def _entry(self, letter: TDSDeadLetterQueue, payload: Mapping[str, Any] | None) -> QueueEntry:
        events = await raw_events(self.db, [letter]) if payload is None else {}
        return make_entry(letter, payload=payload, events=events, sources=self.sources)
