"""The rate of one principal, and what a process remembers of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from app.core.errors import InvalidError
from app.core.security.errors import TooManyRequestsError
from app.core.security.limits import RateLimit
from app.core.security.memory import Memory, Verified
from app.core.security.principals import Principal, Role
from app.core.security.throttle import address_key
from app.core.security.tokens import lifetime
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    """It."""
    return Clock(1_000.0)


def taken(limit: RateLimit, key: str, times: int) -> int:
    """How many of so many requests are let through."""
    through = 0
    for _ in range(times):
        try:
            limit.take(key)
        except TooManyRequestsError:
            continue
        through += 1
    return through


class TestRateLimit:
    """`RateLimit`."""

    def test_lets_a_burst_through_and_then_its_rate(self, clock: Clock) -> None:
        """Five at once, then one each second; what was refused costs nothing."""
        limit = RateLimit(60, 5, now=clock)
        assert taken(limit, "a", 20) == 5
        clock.now += 1
        assert taken(limit, "a", 20) == 1
        clock.now += 3
        assert taken(limit, "a", 20) == 3
        clock.now += 3_600
        assert taken(limit, "a", 20) == 5

    def test_of_one_does_not_concern_another(self, clock: Clock) -> None:
        """Each has its own."""
        limit = RateLimit(60, 2, now=clock)
        assert taken(limit, "a", 5) == taken(limit, "b", 5) == 2

    def test_tells_when_to_come_again(self, clock: Clock) -> None:
        """In whole seconds, and then it is true."""
        limit = RateLimit(6, 1, now=clock)
        limit.take("a")
        with pytest.raises(TooManyRequestsError) as refused:
            limit.take("a")
        assert refused.value.headers == {"Retry-After": "10"}
        clock.now += 10
        limit.take("a")

    def test_holds_over_an_hour(self, clock: Clock) -> None:
        """Six hundred a minute are six hundred a minute, and a burst."""
        limit, through = RateLimit(600, 120, now=clock), 0
        for _ in range(36_000):
            clock.now += 0.1 / 2
            through += taken(limit, "a", 1)
        assert 18_000 <= through <= 18_120


class TestMemory:
    """`Memory`."""

    WHO = Principal(name="Ann", role=Role.VIEWER, kind="token", key="token tds_x")

    def verified(self, until: float = float("inf")) -> Verified:
        """Ann, until then."""
        return Verified(self.WHO, until, ("token", uuid4()))

    def test_is_good_for_its_epoch_only(self, clock: Clock) -> None:
        """Neither for a newer one nor for an older one."""
        memory = Memory(now=clock)
        memory.put(b"x", self.verified(), 7)
        assert memory.get(b"x", 7) is not None
        assert memory.get(b"x", 8) is None
        memory.put(b"x", self.verified(), 7)
        assert memory.get(b"x", 6) is None

    @pytest.mark.parametrize(("until", "seconds"), [(1_010.0, 10), (float("inf"), 300)])
    def test_ends_with_what_it_remembers_and_soon_in_any_case(self, clock: Clock, until: float, seconds: float) -> None:
        """A token's end; five minutes."""
        memory = Memory(now=clock)
        memory.put(b"x", self.verified(until), 1)
        clock.now += seconds - 0.001
        assert memory.get(b"x", 1) is not None
        clock.now += 0.001
        assert memory.get(b"x", 1) is None

    def test_is_bounded(self, clock: Clock) -> None:
        """The longest unused goes."""
        memory = Memory(now=clock)
        memory.put(b"used", self.verified(), 1)
        for n in range(10_000):
            memory.put(b"%d" % n, self.verified(), 1)
            assert memory.get(b"used", 1) is not None
        assert memory.get(b"0", 1) is None
        assert memory.get(b"9999", 1) is not None


class TestAddressKey:
    """What attempts are counted under."""

    @pytest.mark.parametrize(
        ("address", "key"),
        [
            ("203.0.113.9", "address 203.0.113.9"),
            ("::ffff:203.0.113.9", "address 203.0.113.9"),
            ("2001:db8:1:2:3:4:5:6", "address 2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "address 2001:db8:1:2::/64"),
            ("unknown", "address unknown"),
        ],
    )
    def test_is_one_customers(self, address: str, key: str) -> None:
        """A /64 of IPv6 is one customer's whole."""
        assert address_key(address) == key


class TestLifetime:
    """How long a token is good for."""

    def test_is_a_number_and_a_unit(self) -> None:
        """Or never."""
        spans = [lifetime(one) for one in ("30m", "12h", "90d", "4w", "never")]
        hours = timedelta(hours=1)
        assert spans == [hours / 2, 12 * hours, 90 * 24 * hours, 28 * 24 * hours, None]

    @pytest.mark.parametrize("given", ["", "90", "d", "0d", "-1d", "1.5d", "90 d", "90D", "9" * 9 + "d", "600w", "٣d"])
    def test_nothing_else_is(self, given: str) -> None:
        """It says what would be."""
        with pytest.raises(InvalidError, match="90d"):
            lifetime(given)
