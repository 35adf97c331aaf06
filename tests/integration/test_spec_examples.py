"""Each code block of the architecture document, run as printed, save for names that the document leaves open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import Database, get_async_db
from app.core.events.event_bus import event_bus
from app.core.ids import new_id
from app.tds import (
    EntityType,
    EventStatus,
    OperationType,
    SourceType,
    SyncWorker,
    TDSDeadLetterQueue,
    TDSSyncQueue,
    TDSSyncRun,
)
from app.tds.core.events import TDSEntitySyncedEvent
from app.tds.core.queue import TDSQueueService
from app.tds.core.service import TDSService

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("isolated_bus")]
logger = logging.getLogger(__name__)


@pytest.fixture
async def db(database: Database) -> AsyncGenerator[AsyncSession]:
    """What the document calls ``db``."""
    async with database.session() as session:
        yield session


class TestEventHandlers:
    """Subscribers."""

    async def test_handlers_of_created_products_and_of_failed_syncs(self, db: AsyncSession) -> None:
        """Section "Event Handlers (Examples)"."""
        indexed: list[str] = []
        alerted: list[Any] = []

        async def update_search_index(entity_id: str) -> None:
            indexed.append(entity_id)

        async def send_alert_to_ops_team(data: Any) -> None:
            alerted.append(data)

        # Handler for product synced events
        @event_bus.subscribe("tds.entity.create")
        async def handle_product_synced(event: TDSEntitySyncedEvent) -> None:
            """Update search index when product is synced."""
            if event.data["entity_type"] == "product":
                await update_search_index(event.data["entity_id"])

        # Handler for sync failures
        @event_bus.subscribe("tds.sync.failed")
        async def handle_sync_failure(event: Any) -> None:
            """Send alert when sync fails."""
            await send_alert_to_ops_team(event.data)

        tds_service = TDSService(db)
        await tds_service.record_entity_sync(
            entity_type=EntityType.PRODUCT,
            entity_id="local-1",
            source_entity_id="zoho-1",
            operation=OperationType.CREATE,
        )
        run = await tds_service.create_sync_run(run_type=SourceType.ZOHO, entity_type=EntityType.PRODUCT)
        await tds_service.fail_sync_run(run.id, error="no token")
        await event_bus.drain(5)
        assert indexed == ["local-1"]
        assert [data["error"] for data in alerted] == ["no token"]

    async def test_the_common_type_and_the_wildcard(self, db: AsyncSession, caplog: pytest.LogCaptureFixture) -> None:
        """Sections "Usage Examples 1" and "Migration": ``tds.*``, ``tds.entity.create`` and ``tds.entity.synced``."""
        created: list[str] = []
        synced: list[str] = []

        # Listen for all TDS events
        @event_bus.subscribe("tds.*")
        async def log_all_tds_events(event: Any) -> None:
            logger.info(f"TDS Event: {event.event_type} - {event.data}")  # noqa: G004 - as printed

        # Listen for specific events
        @event_bus.subscribe("tds.entity.create")
        async def handle_entity_created(event: Any) -> None:
            entity_type = event.data["entity_type"]
            created.append(f"New {entity_type} created: {event.data['entity_id']}")

        @event_bus.subscribe("tds.entity.synced")
        async def handle_sync(event: Any) -> None:
            synced.append(event.event_type)

        caplog.set_level(logging.INFO, logger=__name__)
        await TDSService(db).record_entity_sync(
            entity_type=EntityType.PRODUCT,
            entity_id="local-123",
            source_entity_id="zoho-456",
            operation=OperationType.CREATE,
            changes={"name": "New Product"},
        )
        await event_bus.drain(5)
        assert created == ["New product created: local-123"]
        assert synced == ["tds.entity.create"]
        assert "TDS Event: tds.entity.create" in caplog.text


class TestDomainEvents:
    """The four events."""

    async def test_the_four_events_have_the_printed_shapes(self, db: AsyncSession) -> None:
        """Section "TDS Domain Events"."""
        tds_service = TDSService(db)
        run = await tds_service.create_sync_run(
            run_type=SourceType.ZOHO, entity_type=EntityType.PRODUCT, configuration={"batch_size": 100}
        )
        await tds_service.record_entity_sync(
            entity_type=EntityType.PRODUCT,
            entity_id="local-id",
            source_entity_id="zoho-id",
            operation=OperationType.CREATE,
            changes={"name": "x"},
        )
        await tds_service.complete_sync_run(sync_run_id=run.id, total_processed=100, successful=98, failed=2)
        await TDSQueueService(db).enqueue(
            entity_type=EntityType.CUSTOMER,
            source_entity_id="zoho-customer-123",
            operation_type=OperationType.CREATE,
            validated_payload={"name": ""},
        )
        await SyncWorker().process_batch()
        dead, completed, synced, started = event_bus.get_event_history(limit=4)

        assert (started.event_type, started.module) == ("tds.sync.started", "tds")
        assert started.data.pop("sync_run_id") == str(run.id)
        assert started.data == {"entity_type": "product", "source_type": "zoho", "batch_size": 100}
        assert synced.event_type == "tds.entity.create"
        assert [synced.data[name] for name in ("entity_type", "entity_id")] == ["product", "local-id"]
        assert [synced.data[name] for name in ("source_entity_id", "operation")] == ["zoho-id", "create"]
        assert synced.data["changes"] == {"name": "x"}
        assert completed.event_type == "tds.sync.completed"
        assert completed.data.pop("sync_run_id") == str(run.id)
        assert completed.data.pop("duration_seconds") > 0
        assert completed.data == {"total_processed": 100, "successful": 98, "failed": 2}
        assert dead.event_type == "tds.deadletter.added"
        assert dead.data.keys() >= {"entity_type", "source_entity_id", "failure_reason", "total_attempts"}
        assert dead.data["source_entity_id"] == "zoho-customer-123"


class TestTDSService:
    """The orchestration service."""

    async def test_runs_recorded_syncs_and_statistics(self, db: AsyncSession) -> None:
        """Section "TDSService"."""
        tds_service = TDSService(db)

        # Create sync run
        sync_run = await tds_service.create_sync_run(
            run_type=SourceType.ZOHO, entity_type=EntityType.PRODUCT, configuration={"batch_size": 100}
        )

        # Record entity sync
        await tds_service.record_entity_sync(
            entity_type=EntityType.PRODUCT,
            entity_id="local-123",
            source_entity_id="zoho-456",
            operation=OperationType.CREATE,
            changes={"name": "New Product"},
        )

        # Complete sync run
        await tds_service.complete_sync_run(sync_run_id=sync_run.id, total_processed=100, successful=98, failed=2)

        # Get statistics
        stats = await tds_service.get_sync_stats()
        assert stats["runs"] == {"completed": 1}
        assert stats["queue"]["status"] == "healthy"
        assert not db.in_transaction()


class TestTDSQueueService:
    """The queue service."""

    async def test_enqueue_look_complete_and_health(self, db: AsyncSession) -> None:
        """Section "TDSQueueService"."""
        inbox_id = new_id()
        queue_service = TDSQueueService(db)

        # Enqueue item
        queue_entry = await queue_service.enqueue(
            inbox_event_id=inbox_id,
            entity_type=EntityType.PRODUCT,
            source_entity_id="zoho-123",
            operation_type=OperationType.CREATE,
            validated_payload={"name": "Product"},
            priority=5,
        )

        # Get pending items
        pending = await queue_service.get_pending_events(limit=100)
        assert [item.id for item in pending] == [queue_entry.id]

        # Mark as completed
        await queue_service.mark_as_completed(queue_id=queue_entry.id, target_entity_id="local-123")
        assert (queue_entry.status, queue_entry.target_entity_id) == (EventStatus.COMPLETED, "local-123")

        # Check queue health
        health = await queue_service.check_queue_health()
        assert health["pending"] == 0


class TestMonitorSyncRun:
    """A poller."""

    @pytest.mark.parametrize(
        ("fails", "expected"), [(False, "✅ Sync completed: 100 items"), (True, "❌ Sync failed: gone")]
    )
    async def test_a_poller_with_one_session_sees_progress_and_end(
        self, database: Database, db: AsyncSession, capsys: pytest.CaptureFixture[str], *, fails: bool, expected: str
    ) -> None:
        """Section "Example 2: Monitor Sync Progress"; the pause is a signal here, and the end comes from elsewhere."""
        sync_run = await TDSService(db).create_sync_run(run_type=SourceType.ZOHO, entity_type=EntityType.PRODUCT)

        async def end_it() -> None:
            async with database.session() as other:
                service = TDSService(other)
                if fails:
                    await service.fail_sync_run(sync_run.id, error="gone")
                else:
                    await service.complete_sync_run(sync_run.id, total_processed=100, successful=98, failed=2)

        async def monitor_sync_run(sync_run_id: str, db: AsyncSession) -> None:
            """Monitor sync run progress."""
            while True:
                # Get sync run details
                result = await db.execute(select(TDSSyncRun).where(TDSSyncRun.id == sync_run_id))
                run = result.scalar_one()

                if run.status == EventStatus.COMPLETED:
                    print(f"✅ Sync completed: {run.processed_events} items")  # noqa: T201 - as printed
                    break
                if run.status == EventStatus.FAILED:
                    print(f"❌ Sync failed: {run.error_summary}")  # noqa: T201 - as printed
                    break
                progress = (run.processed_events / run.total_events * 100) if run.total_events else 0
                print(f"⏳ Progress: {progress:.1f}% ({run.processed_events}/{run.total_events})")  # noqa: T201 - as printed
                await end_it()

        async with asyncio.timeout(20):
            await monitor_sync_run(str(sync_run.id), db)
        printed = capsys.readouterr().out
        assert printed.splitlines() == ["⏳ Progress: 0.0% (0/0)", expected]


class TestReprocessDeadLetters:
    """Working on dead letters."""

    async def test_fixed_payloads_are_queued_again_and_applied(self, db: AsyncSession) -> None:
        """Section "Example 3: Handle Dead Letter Items", naive datetime and all."""
        queue_service = TDSQueueService(db)
        first = await queue_service.enqueue(
            inbox_event_id=new_id(),
            entity_type=EntityType.PRODUCT,
            source_entity_id="zoho-123",
            operation_type=OperationType.CREATE,
            validated_payload={"name": ""},
        )
        await SyncWorker().process_batch()
        assert first.status == EventStatus.DEAD_LETTER

        def fix_payload(payload: Any) -> dict[str, Any]:
            return {**payload, "name": "Product"}

        async def reprocess_dead_letter_items(db: AsyncSession) -> None:
            """Reprocess items from dead letter queue."""
            queue_service = TDSQueueService(db)

            result = await db.execute(
                select(TDSDeadLetterQueue).where(TDSDeadLetterQueue.resolved == False).limit(10)  # noqa: E712 - as printed
            )
            items = result.scalars().all()

            for item in items:
                fixed_payload = fix_payload(item.last_payload)
                assert item.sync_queue is not None

                await queue_service.enqueue(
                    inbox_event_id=item.sync_queue.inbox_event_id,
                    entity_type=item.entity_type,
                    source_entity_id=item.source_entity_id or "",
                    operation_type=OperationType.CREATE,
                    validated_payload=fixed_payload,
                    priority=10,  # High priority
                )

                item.resolved = True
                item.resolved_at = datetime.utcnow()  # noqa: DTZ003 # pyright: ignore[reportDeprecated] - as printed
                item.resolution_notes = "Manually reprocessed after payload fix"

            await db.commit()

        await reprocess_dead_letter_items(db)
        letter = (await db.execute(select(TDSDeadLetterQueue))).scalar_one()
        assert letter.resolved
        assert letter.resolved_at is not None
        assert letter.resolved_at.tzinfo is not None
        await SyncWorker().process_batch()
        done = (await db.execute(select(TDSSyncQueue).where(TDSSyncQueue.id != first.id))).scalar_one()
        assert (done.status, done.priority, done.inbox_event_id) == (EventStatus.COMPLETED, 10, first.inbox_event_id)


class TestIntegrationPoints:
    """BFF and workers."""

    async def test_an_endpoint_on_get_async_db(self, database: Database) -> None:
        """Section "With BFF Layer"."""
        del database  # it is the default that get_async_db uses
        router = APIRouter()

        def format_for_mobile(stats: Any) -> dict[str, Any]:
            return {"queue_depth": stats["queue"]["pending"]}

        @router.get("/api/bff/tds/dashboard")
        async def get_dashboard(db: AsyncSession = Depends(get_async_db)) -> dict[str, Any]:  # noqa: FAST002, B008 - as printed
            tds_service = TDSService(db)
            stats = await tds_service.get_sync_stats()
            return format_for_mobile(stats)

        app = FastAPI()
        app.include_router(router)
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            answer = await client.get("/api/bff/tds/dashboard")
        assert answer.json() == {"queue_depth": 0}

    async def test_a_worker_of_ones_own(self, db: AsyncSession) -> None:
        """Section "With Background Workers"."""
        entry = await TDSQueueService(db).enqueue(
            entity_type=EntityType.PRODUCT,
            source_entity_id="zoho-1",
            operation_type=OperationType.CREATE,
            validated_payload={"name": "Product"},
        )

        class Worker:
            inner = SyncWorker(db)

            async def process_item(self, item: TDSSyncQueue) -> None:
                await self.inner.process_item(item)

            async def process_batch(self) -> None:
                queue_service = TDSQueueService(db)
                pending = await queue_service.get_pending_events(limit=100)

                for item in pending:
                    await self.process_item(item)

        await Worker().process_batch()
        assert entry.status == EventStatus.COMPLETED


class TestTesting:
    """The document's own tests."""

    async def test_sync_run_publishes_events(self, db: AsyncSession) -> None:
        """Section "Unit Tests"."""
        service = TDSService(db)

        # Create sync run
        await service.create_sync_run(run_type=SourceType.ZOHO, entity_type=EntityType.PRODUCT)

        events = event_bus.get_event_history(limit=1)
        assert events[0].event_type == "tds.sync.started"

    async def test_complete_sync_flow(self, db: AsyncSession) -> None:
        """Section "Integration Tests": the entry at hand follows what the worker did."""
        # Enqueue item
        queue_service = TDSQueueService(db)
        entry = await queue_service.enqueue(
            entity_type=EntityType.PRODUCT,
            source_entity_id="zoho-1",
            operation_type=OperationType.CREATE,
            validated_payload={"name": "Product"},
        )

        worker = SyncWorker()
        await worker.process_event(entry.id)

        assert entry.status == EventStatus.COMPLETED
