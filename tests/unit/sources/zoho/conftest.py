"""What the tests of the Zoho source share: a scripted peer, a clock that stands still, retries that do not wait."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import stamina

from tests.unit.sources.zoho.peer import Peer, StillClock


@pytest.fixture(autouse=True)
def _no_waiting() -> Generator[None]:
    """Retries follow at once; how many there are stays as the code says."""
    with stamina.set_testing(testing=True, attempts=10, cap=True):
        yield


@pytest.fixture
def clock() -> StillClock:
    """A clock that the test moves."""
    return StillClock()


@pytest.fixture
def peer() -> Peer:
    """A Zoho whose answers the test writes."""
    return Peer()
