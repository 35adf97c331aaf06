"""Who comes and goes, one at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.embedded.errors import EmbeddedPostgresError
from app.core.embedded.keeper import FileLock
from app.core.embedded.layout import Layout
from app.core.embedded.lease import Lease


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A layout whose folder exists."""
    layout = Layout.below(tmp_path)
    layout.root.mkdir()
    return layout


class TestTurn:
    """Being the only one who comes or goes."""

    def test_is_one_at_a_time(self, layout: Layout) -> None:
        """Who waits for longer than his patience is told which file is held."""
        with Lease(layout).turn(), pytest.raises(EmbeddedPostgresError, match=r"start\.lock for too long"):  # noqa: SIM117
            with Lease(layout, patience=0.03).turn():
                pass

    def test_is_over_after_an_error(self, layout: Layout) -> None:
        """A failed start lets the next one try."""
        with pytest.raises(LookupError), Lease(layout).turn():
            raise LookupError
        with Lease(layout, patience=0.03).turn():
            pass


class TestTake:
    """Becoming a user."""

    def test_waits_for_who_is_stopping_the_server(self, layout: Layout) -> None:
        """As long as somebody holds the users' lock alone, nobody becomes a user; the error names the log."""
        lease = Lease(layout, patience=0.03)
        with FileLock(layout.users_lock) as stopping:
            assert stopping.try_exclusive()
            with pytest.raises(EmbeddedPostgresError, match=r"does not stop: see .*log"):
                lease.take()
        assert not lease.is_held


class TestGiveBack:
    """Ceasing to be a user."""

    def test_leaves_no_keeper(self, layout: Layout) -> None:
        """When the last user has left, its keeper is gone: all locks are free."""
        lease = Lease(layout)
        lease.take()
        with FileLock(layout.keeper_lock) as keeper, FileLock(layout.users_lock) as users:
            assert not keeper.try_exclusive()
            lease.give_back()
            assert keeper.try_exclusive()
            assert users.try_exclusive()

    def test_leaves_the_keeper_to_others(self, layout: Layout) -> None:
        """While there is another user the keeper stays."""
        first, second = Lease(layout), Lease(layout)
        first.take()
        second.take()
        first.give_back()
        with FileLock(layout.keeper_lock) as keeper:
            assert not keeper.try_exclusive()
        second.give_back()

    def test_drop_leaves_it_to_the_keeper(self, layout: Layout) -> None:
        """A user who just drops its lease is cleared up after, soon."""
        lease = Lease(layout)
        lease.take()
        lease.drop()
        with FileLock(layout.keeper_lock) as keeper:
            assert keeper.wait_exclusive(20)
