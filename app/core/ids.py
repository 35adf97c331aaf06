"""Identifiers: UUIDv7, made in the application.

The leading 48 bits of a UUIDv7 are its creation time in milliseconds (RFC 9562, section 5.7), so ids
sort by age, and a table partitioned by id is partitioned by creation time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from asyncpg.pgproto import pgproto
from uuid_utils import uuid7

__all__ = ["created_at_of", "lower_bound", "new_id"]


def new_id() -> UUID:
    """A new UUIDv7; within one process each is greater than the one before.

    It is of the driver's own kind, as all ids that come from the database: made, written and compared in a tenth of the
    time.
    """
    return pgproto.UUID(uuid7().bytes)


def created_at_of(identifier: UUID) -> datetime:
    """When a UUIDv7 was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def lower_bound(moment: datetime) -> UUID:
    """The smallest id that can have been made at ``moment`` or later: a partition bound."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
