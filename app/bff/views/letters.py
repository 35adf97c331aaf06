"""Dead letters, as a phone shows them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import Field

from app.bff.views.base import View, with_example
from app.bff.views.entities import LocalRow
from app.bff.words import Stamp
from app.tds.api.views import FieldErrorView, LetterDetail
from app.tds.models import TDSDeadLetterQueue

__all__ = ["DeadLetterDetail", "DeadLetterEntry", "DeadLetterProblems"]

_ENTRY: Final = {
    "id": "01932b9a-0f3c-7d81-b2a4-7c6e5d4f3a2b",
    "entity_type": "product",
    "source_entity_id": "zoho-123",
    "failure_reason": "Invalid SKU format",
    "total_attempts": 3,
    "created_at": "2025-11-05T08:00:00Z",
    "resolved": False,
    "priority": 5,
}


class DeadLetterEntry(View):
    """A dead letter in a list."""

    model_config = with_example(_ENTRY)

    id: UUID
    entity_type: str = Field(description="May be a word that TDS does not know: it is what the delivery said.")
    source_entity_id: str | None = Field(description="null where the delivery named none.")
    failure_reason: str
    total_attempts: int
    created_at: Stamp
    resolved: bool
    priority: int = Field(description="Of the change that failed: 1 (last) to 10 (first).")


class DeadLetterProblems(View):
    """What is wrong with a document; nothing, where it can be queued."""

    model_config = with_example(
        {"problems": [{"field": "price", "message": "Input should be a valid decimal", "code": "decimal_parsing"}]}
    )

    problems: list[FieldErrorView]


class DeadLetterDetail(LetterDetail):
    """Everything about a dead letter, and what stands in the local tables of its entity."""

    priority: int
    attempts: list[dict[str, Any]] = Field(description="Each attempt that failed: when, which one, why.")
    local: LocalRow | None = Field(description="The entity as it is here; null where there is none.")

    @classmethod
    def told(
        cls, letter: TDSDeadLetterQueue, problems: list[FieldErrorView], local: LocalRow | None
    ) -> DeadLetterDetail:
        """A letter, what is wrong with its document, and its local row."""
        told: dict[str, Any] = dict(LetterDetail.of(letter, problems))
        attempts = letter.sync_queue.errors if letter.sync_queue is not None else []
        return cls(**told, priority=letter.priority, attempts=attempts, local=local)
