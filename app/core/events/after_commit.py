"""Publish when, and only when, the transaction commits.

Works on any SQLAlchemy session, whoever commits it and however: the listeners hang on ``sqlalchemy.orm.Session``.
Events wait with the transaction or savepoint they were recorded in. A released savepoint hands them to what encloses
it; what is rolled back takes them with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.core.events.event import DomainEvent
from app.core.events.event_bus import EventBus

__all__ = ["publish_after_commit"]

_Waiting: TypeAlias = dict[SessionTransaction, list[tuple[EventBus, Sequence[DomainEvent]]]]

_KEY: Final = "tds_events_after_commit"


def publish_after_commit(session: Session, events: Sequence[DomainEvent], bus: EventBus) -> None:
    """Hand ``events`` to ``bus`` once the session's transaction is committed; it must be in one."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is None:
        raise RuntimeError("events can only wait for the end of a transaction, and this session is in none")
    waiting = cast("_Waiting", session.info.setdefault(_KEY, {}))
    waiting.setdefault(transaction, []).append((bus, events))


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    waiting = cast("_Waiting | None", session.info.get(_KEY))
    if not waiting:
        return
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        root = session.get_transaction()
        for bus, events in waiting.pop(root, []) if root is not None else []:
            bus.publish_nowait(events)
    elif savepoint in waiting and savepoint.parent is not None:
        waiting.setdefault(savepoint.parent, []).extend(waiting.pop(savepoint))


@event.listens_for(Session, "after_transaction_end")
def _ended(session: Session, transaction: SessionTransaction) -> None:
    waiting = cast("_Waiting | None", session.info.get(_KEY))
    if waiting:
        waiting.pop(transaction, None)
