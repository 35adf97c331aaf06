"""The shapes of the administration's requests and answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from app.tds.core import runs
from app.tds.core.dead_letter_service import revision
from app.tds.core.dry_run import DryRun
from app.tds.core.letter_criteria import LetterCriteria
from app.tds.models import TDSDeadLetterQueue, TDSJob, TDSSyncRun
from app.tds.types import EventStatus, OperationType, RunMode

__all__ = [
    "BulkReprocess",
    "BulkResolve",
    "CountView",
    "CriteriaBody",
    "DryRunView",
    "EditBody",
    "FieldErrorView",
    "GroupView",
    "JobView",
    "LetterDetail",
    "LetterView",
    "Moment",
    "PageView",
    "PauseBody",
    "PauseView",
    "ReprocessBody",
    "ReprocessedView",
    "ResolveBody",
    "ResumedView",
    "RunBody",
    "RunView",
    "TryBody",
]

T = TypeVar("T")
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
Moment = Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)]
"""A time with its offset, in the years that a database and a clock can reckon with."""
Word = Annotated[str, Field(min_length=1, max_length=200)]


def _number(given: object) -> object:
    if isinstance(given, str | bool):
        raise ValueError("must be a number")  # noqa: TRY004 - what Pydantic tells the caller
    return given


Count = Annotated[int, BeforeValidator(_number), Field(ge=0)]
Note = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"[^\s\x00-\x1f\x85]")]
Revision = Annotated[str, Field(max_length=64, description="The letter's revision that this is based on.")]


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageView(BaseModel, Generic[T]):
    """A page of a list, newest first; ``next_cursor`` leads to the next one, as does the ``Link`` header."""

    items: list[T]
    next_cursor: UUID | None = None


class FieldErrorView(_View):
    """What is wrong with a field; ``""`` is the whole."""

    field: str
    message: str
    code: str


class LetterView(_View):
    """A dead letter in a list."""

    id: UUID
    source: str
    entity_type: str
    source_entity_id: str | None
    operation_type: OperationType | None
    failure_reason: str
    error_code: str
    fingerprint: str
    total_attempts: int
    created_at: datetime
    resolved: bool
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None
    resolution_notes: str | None
    reprocessed_as: UUID | None


class LetterDetail(LetterView):
    """Everything about a dead letter. ``problems`` is what is still wrong with ``last_payload``."""

    sync_queue_id: UUID | None
    inbox_event_id: UUID | None
    run_id: UUID | None
    version_time: datetime | None
    received_at: datetime
    errors: list[dict[str, Any]]
    stack: str | None
    original_payload: dict[str, Any] | None
    last_payload: dict[str, Any] | None
    revision: str = ""
    problems: list[FieldErrorView] = Field(default_factory=list[FieldErrorView])

    @classmethod
    def of(cls, letter: TDSDeadLetterQueue, problems: list[FieldErrorView]) -> LetterDetail:
        """A letter, and what is wrong with its document."""
        return cls.model_validate(letter).model_copy(update={"revision": revision(letter), "problems": problems})


class GroupView(_View):
    """Dead letters that failed in the same way."""

    fingerprint: str
    entity_type: str
    error_code: str
    count: int
    first: datetime
    last: datetime
    sample_id: UUID
    sample_reason: str


class CountView(BaseModel):
    """How many dead letters fit."""

    count: int


class CriteriaBody(_Body):
    """Which open dead letters are meant; all of them if nothing is asked."""

    source: Word | None = None
    entity_type: Word | None = None
    source_entity_id: Word | None = None
    error_code: Word | None = None
    fingerprint: Word | None = None
    text: Word | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None

    def criteria(self) -> LetterCriteria:
        """The same for the service."""
        return LetterCriteria(
            source=self.source,
            entity_type=self.entity_type,
            source_entity_id=self.source_entity_id,
            error_code=self.error_code,
            fingerprint=self.fingerprint,
            text=self.text,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class BulkReprocess(_Body):
    """Reprocess all that fit. With ``expected_count`` nothing is done if another number of letters fits by now."""

    criteria: CriteriaBody
    expected_count: Count | None = None


class BulkResolve(BulkReprocess):
    """Resolve all that fit, with a note."""

    note: Note


class EditBody(_Body):
    """A document to keep."""

    payload: dict[str, Any]
    revision: Revision | None = None


class TryBody(_Body):
    """A document in place of the letter's own."""

    payload: dict[str, Any] | None = None


class ReprocessBody(TryBody):
    """What to queue; the letter's own document if none is given."""

    revision: Revision | None = None


class ResolveBody(_Body):
    """Why nothing has to be done."""

    note: Note


class ReprocessedView(BaseModel):
    """A letter that was queued again."""

    dead_letter_id: UUID
    queue_id: UUID
    status: EventStatus


class DryRunView(_View):
    """What reprocessing would change; see ``outcome``: created, updated, deleted, unchanged, superseded, waits,
    retry or dead_letter.
    """

    outcome: str
    entity_type: str
    source_entity_id: str | None
    local_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed: list[str]
    code: str | None
    reason: str | None
    errors: list[FieldErrorView]
    paused: bool

    @classmethod
    def of(cls, result: DryRun) -> DryRunView:
        """A dry run's result."""
        return cls.model_validate(result)


class JobView(_View):
    """A job over dead letters. Of ``total`` letters, ``done`` were dealt with: ``succeeded`` and ``failed``."""

    id: UUID
    kind: str
    criteria: dict[str, Any]
    note: str | None
    status: EventStatus
    total: int
    done: int
    succeeded: int
    failed: int
    last_error: str | None
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    progress: float = 0.0

    @classmethod
    def of(cls, job: TDSJob) -> JobView:
        """A job, with its progress from 0 to 1."""
        share = 1.0 if job.completed_at is not None else job.done / job.total if job.total else 0.0
        return cls.model_validate(job).model_copy(update={"progress": round(min(1.0, share), 4)})


class RunBody(_Body):
    """What to read."""

    source: Word = "zoho"
    entity_type: Word
    mode: RunMode = RunMode.INCREMENTAL


class RunView(_View):
    """A run. ``total_events`` grows until ``scan_completed``; before that neither progress nor ETA can be told."""

    id: UUID
    source: str
    entity_type: str
    mode: RunMode
    status: EventStatus
    total_events: int
    processed_events: int
    successful_events: int
    failed_events: int
    skipped_events: int
    pages: int
    scan_completed: bool
    cancel_requested: bool
    since: datetime | None
    next_attempt_at: datetime | None
    error_summary: str | None
    started_by: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    progress: float | None = None
    eta_seconds: float | None = None

    @classmethod
    def of(cls, run: TDSSyncRun, now: datetime) -> RunView:
        """A run as it is ``now``."""
        ended = run.completed_at is not None
        known = run.scan_completed or ended
        progress = round(run.processed_events / run.total_events, 4) if run.total_events else 1.0 if ended else 0.0
        eta = None if ended else runs.eta_seconds(run, now)
        told = {"progress": progress if known else None, "eta_seconds": None if eta is None else round(eta, 1)}
        return cls.model_validate(run).model_copy(update=told)


class PauseBody(_Body):
    """What to pause: ``*`` is every entity type. ``drain`` works off what waits, and pauses then."""

    source: Word = "zoho"
    entity_type: Word = "*"
    mode: Literal["pause", "drain"] = "pause"
    note: Annotated[str, Field(max_length=2_000)] | None = None


class PauseView(_View):
    """A pause, or a drain."""

    source: str
    entity_type: str
    mode: str
    note: str | None
    created_by: str
    created_at: datetime


class ResumedView(BaseModel):
    """How many laid-aside items are awake already; the workers wake the rest within seconds."""

    awake: int
