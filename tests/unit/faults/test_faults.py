"""Which fault each round meets."""

from __future__ import annotations

from tests.faults import breakage
from tests.faults.faults import COMPANIONS, FAULTS, deck

assert breakage.__all__, "importing it registers the faults"

DEALT = set(FAULTS)


class TestDeck:
    """The order of the faults."""

    def test_brings_every_fault_before_any_comes_again(self) -> None:
        """A cycle of rounds holds each fault once."""
        first = [faults[0] for faults in deck(7, 2 * len(DEALT))]
        assert sorted(first[: len(DEALT)]) == sorted(first[len(DEALT) :]) == sorted(DEALT)

    def test_covers_every_fault_in_the_rounds_that_ci_runs(self) -> None:
        """Eighteen rounds of seed 1 leave no fault out."""
        assert {faults[0] for faults in deck(1, 18)} == DEALT

    def test_is_the_same_for_the_same_seed_and_another_for_another(self) -> None:
        """The order is drawn from the seed and nothing else."""
        assert deck(1, 40) == deck(1, 40) != deck(2, 40)

    def test_begins_alike_however_long_it_is(self) -> None:
        """A shorter campaign repeats the beginning of a longer one."""
        assert deck(3, 40)[:9] == deck(3, 9)

    def test_repeats_the_one_that_is_asked_for(self) -> None:
        """A named fault comes alone, in every round."""
        assert deck(1, 3, "tcp-cut") == [("tcp-cut",)] * 3

    def test_never_pairs_a_fault_with_one_of_its_own_kind(self) -> None:
        """Two faults of the source would undo each other."""
        pairs = [faults for faults in deck(1, 2_000) if len(faults) == 2]
        kinds = [{"source" if name.startswith("source-") else name for name in pair} for pair in pairs]
        assert pairs
        assert all(len(kind) == 2 for kind in kinds)


class TestCompanions:
    """The faults that come second."""

    def test_are_faults(self) -> None:
        """Each is registered."""
        assert set(COMPANIONS) <= set(FAULTS)
