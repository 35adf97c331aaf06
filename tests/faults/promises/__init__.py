"""The promises, each checked from the tables and from the source's own record of what it sent and was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tests.faults.promises.chains import check_chains
from tests.faults.promises.cost import check_cost
from tests.faults.promises.delivery import check_acknowledged, check_invalid
from tests.faults.promises.effect import check_effects, check_runs
from tests.faults.promises.evidence import Evidence, Violation
from tests.faults.promises.explained import check_explained
from tests.faults.promises.leases import check_leases
from tests.faults.promises.patience import check_attempts
from tests.faults.promises.recovery import check_recovery
from tests.faults.promises.state import check_state

__all__ = ["CHECKS", "Check", "Evidence", "Violation"]

Check = Callable[[Evidence], Awaitable[list[Violation]]]

CHECKS: Final[tuple[Check, ...]] = (
    check_acknowledged,
    check_effects,
    check_runs,
    check_state,
    check_chains,
    check_leases,
    check_invalid,
    check_recovery,
    check_attempts,
    check_explained,
    check_cost,
)
