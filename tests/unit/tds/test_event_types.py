"""The table of events in docs/events.md says what the code announces."""

from __future__ import annotations

from pathlib import Path

from app.tds.core.events import (
    TDSAlertResolvedEvent,
    TDSAlertTriggeredEvent,
    TDSDeadLetterEvent,
    TDSDeadLetterResolvedEvent,
    TDSEntityFailedEvent,
    TDSEntitySyncedEvent,
    TDSEvent,
    TDSSyncCompletedEvent,
    TDSSyncFailedEvent,
    TDSSyncStartedEvent,
)
from app.tds.types import OperationType

DOCUMENT = Path(__file__).parents[3] / "docs" / "events.md"


def announced() -> list[TDSEvent]:
    """One event of each type."""
    synced = [
        TDSEntitySyncedEvent(
            entity_type="product", entity_id="1", source_entity_id="2", operation=operation, changes={}
        )
        for operation in (OperationType.CREATE, OperationType.UPDATE, OperationType.DELETE)
    ]
    return [
        TDSSyncStartedEvent(sync_run_id="1", entity_type="product", source_type="zoho", batch_size=1),
        TDSSyncCompletedEvent(sync_run_id="1", total_processed=1, successful=1, failed=0, duration_seconds=1),
        TDSSyncFailedEvent(sync_run_id="1", entity_type="product", error="x"),
        *synced,
        TDSEntityFailedEvent(
            entity_type="product", source_entity_id="1", queue_id="1", error="x", attempts=1, next_retry_at="x"
        ),
        TDSDeadLetterEvent(
            dead_letter_id="1", entity_type="product", source_entity_id="1", failure_reason="x", total_attempts=1
        ),
        TDSDeadLetterResolvedEvent(dead_letter_id="1", entity_type="product", source_entity_id="1", resolution="x"),
        TDSAlertTriggeredEvent(
            alert_id="1", rule="x", subject="", severity="error", title="x", message="x", value=1, threshold=1
        ),
        TDSAlertResolvedEvent(alert_id="1", rule="x", subject="", severity="error", title="x", resolved_by=None),
    ]


def documented() -> dict[str, set[str]]:
    """Types and fields as the table gives them."""
    rows = [line.split("|")[1:-1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `tds.")]
    return {cells[0].strip(" `"): {field.strip(" `") for field in cells[3].split(",")} for cells in rows}


class TestEvents:
    """Code and table."""

    def test_each_event_has_a_row_with_its_fields_and_no_row_is_left(self) -> None:
        """Types and fields are the same on both sides."""
        assert {event.event_type: set(event.data) for event in announced()} == documented()
