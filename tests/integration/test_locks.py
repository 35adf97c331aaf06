"""The distributed lock: one holder, a lease that ends, a token that fences late writers off."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app.core import locks
from app.core.database import Database
from app.core.locks import Lease, LockLostError

pytestmark = pytest.mark.integration


async def take(database: Database, holder: str, *, seconds: float = 60) -> Lease | None:
    """Try to take the lock ``l``."""
    async with database.transaction() as session:
        return await locks.acquire(session, "l", holder=holder, seconds=seconds)


async def end_lease(database: Database) -> None:
    """As if the lease had run out."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE locks SET expires_at = now() - interval '1s'"))


class TestLocks:
    """Taking, holding, losing."""

    async def test_has_one_holder_of_many_at_once(self, database: Database) -> None:
        """Eight try at once, and one has it."""
        got = await asyncio.gather(*(take(database, f"h{number}") for number in range(8)))
        assert sum(lease is not None for lease in got) == 1

    async def test_is_free_after_release_and_after_its_lease_and_its_token_grows(self, database: Database) -> None:
        """Each holder has a greater token than the one before."""
        first = await take(database, "a")
        assert first is not None
        async with database.transaction() as session:
            await locks.release(session, first)
        second = await take(database, "b")
        await end_lease(database)
        third = await take(database, "c")
        assert second is not None
        assert third is not None
        assert first.token < second.token < third.token

    async def test_a_lost_lock_neither_renews_nor_passes_the_fence_nor_frees_anothers(self, database: Database) -> None:
        """A holder that was frozen comes back, and writes nothing."""
        frozen = await take(database, "a")
        assert frozen is not None
        await end_lease(database)
        async with database.transaction() as session:
            with pytest.raises(LockLostError):
                await locks.fence(session, frozen)
        other = await take(database, "b")
        assert other is not None
        async with database.transaction() as session:
            with pytest.raises(LockLostError):
                await locks.renew(session, frozen, seconds=60)
            await locks.release(session, frozen)
            await locks.fence(session, other)
        assert await take(database, "c") is None

    async def test_the_fence_holds_the_lock_until_the_transaction_ends(self, database: Database) -> None:
        """Nobody takes it while fenced work goes on, even if its lease runs out meanwhile."""
        lease = await take(database, "a", seconds=60)
        assert lease is not None
        async with database.transaction() as session:
            await locks.fence(session, lease)
            taking = asyncio.ensure_future(end_lease(database))
            done, _ = await asyncio.wait([taking], timeout=0.2)
            assert not done
        await taking

    async def test_leading_yields_none_to_the_second(self, database: Database) -> None:
        """Single-leader work: the other one leaves it."""
        async with locks.leading(database, "work", holder="a", seconds=60) as mine:
            assert mine is not None
            async with locks.leading(database, "work", holder="b", seconds=60) as other:
                assert other is None
        async with locks.leading(database, "work", holder="b", seconds=60) as later:
            assert later is not None
