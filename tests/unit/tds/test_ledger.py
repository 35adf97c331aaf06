"""Which change of an entity is the newest, whatever the order, the batches and the repeats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.tds.core.ledger import EntityState, Folded, ParsedItem, fold, group
from app.tds.core.outcomes import ClaimedItem
from app.tds.core.ports import Applied, Assignment
from app.tds.documents import ProductDocument
from app.tds.targets.rows import plan
from tests.support.pipeline import TIME, claimed

FRESH = EntityState("zoho", "product", "1")


def item(arrival: int, minutes: float | None = None, received: float = 0) -> ClaimedItem:
    """A change by its arrival number, its source's time and the time it was received, in minutes."""
    time = None if minutes is None else TIME + timedelta(minutes=minutes)
    return claimed(arrival=arrival, version_time=time, received_at=TIME + timedelta(minutes=received))


def known(item: ClaimedItem, **fields: Any) -> ParsedItem:
    """A change that knows these fields."""
    return ParsedItem(item, ProductDocument(**fields))


def gone(item: ClaimedItem) -> ParsedItem:
    """A deletion."""
    return ParsedItem(item, None)


class Local:
    """One local row, written as the ERP's target writes it."""

    def __init__(self) -> None:
        self.state = FRESH
        self.rows: dict[str, dict[str, Any]] = {}

    def apply(self, batch: Iterable[ParsedItem]) -> None:
        """Fold a batch, and write its newest document."""
        folded = fold(self.state, batch)
        if folded.newest is None:
            self.state = folded.state
        else:
            self._write(folded)

    def _write(self, folded: Folded) -> None:
        assignment = Assignment(
            source="zoho",
            source_entity_id="1",
            local_id=folded.state.local_id,
            document=folded.document,
            fresh=folded.fresh,
        )
        made = plan([assignment], self.rows)
        for identifier in made.deleted:
            del self.rows[identifier]
        self.rows |= {key: ProductDocument.model_validate(row).whole() for key, row in made.rows.items()}
        (result,) = made.results
        if isinstance(result, Applied):
            self.state = replace(folded.state, local_id=result.local_id or folded.state.local_id)

    @property
    def content(self) -> dict[str, Any] | None:
        """The row, without its id."""
        return next(iter(self.rows.values()), None)


@st.composite
def versioned(draw: st.DrawFn) -> list[ParsedItem]:
    """Whole documents and deletions with a source's time, which may be the same for several."""
    made: list[ParsedItem] = []
    for arrival in range(1, draw(st.integers(1, 8)) + 1):
        version = item(arrival, minutes=draw(st.integers(0, 4)))
        made.append(gone(version) if draw(st.booleans()) else known(version, name=f"v{arrival}", sku=str(arrival)))
    return made


@st.composite
def mixed(draw: st.DrawFn) -> list[ParsedItem]:
    """The same, and deletions that carry no time; the source's clock is its own."""
    made: list[ParsedItem] = []
    for arrival in range(1, draw(st.integers(2, 4)) + 1):
        minutes = draw(st.none() | st.integers(-3, 9).map(lambda value: value + 0.5))
        version = item(arrival, minutes=minutes, received=arrival)
        document = minutes is not None and draw(st.booleans())
        made.append(known(version, name=f"v{arrival}") if document else gone(version))
    return made


def batches(items: Sequence[ParsedItem], draw: st.DataObject) -> list[list[ParsedItem]]:
    """The items in any order, some of them again, in batches of any size."""
    shuffled = draw.draw(st.permutations([*items, *draw.draw(st.lists(st.sampled_from(items), max_size=3))]))
    made: list[list[ParsedItem]] = [[]]
    for one in shuffled:
        if made[-1] and draw.draw(st.booleans()):
            made.append([])
        if one not in made[-1]:
            made[-1].append(one)
    return made


def _final(order: Iterable[ParsedItem]) -> str | None:
    """What the row is called after these changes, one by one; None if it is gone."""
    local = Local()
    for one in order:
        local.apply([one])
    return None if local.content is None else str(local.content["name"])


def _of(state: EntityState) -> tuple[Any, ...]:
    return (state.deleted, state.version_time, state.version_arrival)


class TestFoldOfVersionedChanges:
    """Changes that tell their source's time."""

    @given(versioned(), st.data())
    def test_ends_in_the_newest_whatever_the_order_and_the_batches(
        self, items: list[ParsedItem], data: st.DataObject
    ) -> None:
        """P3: the newest by (time, arrival) is what stands in the end."""
        local = Local()
        for batch in batches(items, data):
            local.apply(batch)
        newest = max(items, key=lambda one: (one.item.version_time or TIME, one.item.arrival))
        assert _of(local.state) == (newest.document is None, newest.item.version_time, newest.item.arrival)
        wanted = None if newest.document is None else newest.document.known()["name"]
        assert (local.content or {}).get("name") == wanted

    @given(versioned())
    def test_accounts_for_every_item_once(self, items: list[ParsedItem]) -> None:
        """Each item is the newest, superseded, or overtaken, and only one of them."""
        folded = fold(FRESH, items)
        ends = [*folded.superseded, *folded.overtaken, folded.newest]
        assert sorted(one.arrival for one in ends if one) == [one.item.arrival for one in items]

    def test_tells_equal_times_apart_by_arrival(self) -> None:
        """Sources have whole seconds: of two changes in one, the later arrival is the newer."""
        folded = fold(FRESH, [known(item(1, 0), name="a"), known(item(2, 0), name="b")])
        assert folded.document == ProductDocument(name="b")
        assert [one.arrival for one in folded.overtaken] == [1]

    def test_supersedes_what_is_older_than_the_ledger(self) -> None:
        """An old webhook that comes late changes nothing."""
        newer = fold(FRESH, [known(item(1, 5), name="new")]).state
        folded = fold(newer, [known(item(2, 4), name="old")])
        assert folded.newest is None
        assert folded.state == newer
        assert len(folded.superseded) == 1


class TestFoldOfDeletesWithoutTime:
    """A delete by webhook tells no time."""

    def test_is_newer_than_all_that_arrived_before_it(self) -> None:
        """Whatever a clock that is ahead has written into the earlier change."""
        folded = fold(FRESH, [known(item(1, 1_000), name="a"), gone(item(2, None, received=1))])
        assert folded.newest is not None
        assert folded.newest.arrival == 2
        assert folded.state.deleted

    def test_bars_what_arrived_before_it_and_comes_later(self) -> None:
        """Retried, an earlier arrival does not bring the entity back."""
        deleted = fold(FRESH, [gone(item(2, None))]).state
        assert fold(deleted, [known(item(1, 1_000), name="a")]).newest is None

    def test_yields_to_a_newer_version_that_arrived_after_it(self) -> None:
        """A restored entity is back."""
        deleted = fold(FRESH, [gone(item(1, None, received=0))]).state
        restored = fold(deleted, [known(item(2, 1), name="a")])
        assert restored.newest is not None
        assert not restored.state.deleted

    def test_holds_against_an_older_version_that_arrived_after_it(self) -> None:
        """A poll that read the entity before it was deleted does not bring it back."""
        deleted = fold(FRESH, [gone(item(1, None, received=5))]).state
        assert fold(deleted, [known(item(2, 4), name="a")]).newest is None

    def test_applied_late_yields_to_a_newer_version(self) -> None:
        """A delete that was retried for long meets the version that came after it."""
        newer = fold(FRESH, [known(item(2, 10), name="a")]).state
        assert fold(newer, [gone(item(1, None, received=5))]).newest is None

    @settings(max_examples=300)
    @given(mixed())
    def test_the_order_of_applying_never_matters(self, items: list[ParsedItem]) -> None:
        """As the module promises: whether the entity is here in the end depends on the set of changes only."""
        assert len({_final(order) for order in permutations(items)}) == 1

    def test_a_clock_that_is_ahead_does_not_lose_a_delete(self) -> None:
        """An edit and its deletion, and a stale read of the time between: whoever comes first, it stays deleted."""
        edit, delete, stale = known(item(1, 10), name="a"), gone(item(2, None, received=5)), known(item(3, 9), name="b")
        assert {_final(order) for order in permutations([edit, delete, stale])} == {None}


class TestFoldOfPartialDocuments:
    """A document says which fields it knows."""

    def test_completes_the_newest_with_what_only_older_ones_know(self) -> None:
        """Of one batch, nothing that was told is lost."""
        folded = fold(FRESH, [known(item(1, 0), name="a", sku="s"), known(item(2, 1), name="b")])
        assert folded.document is not None
        assert folded.document.known() == {"name": "b", "sku": "s"}

    def test_keeps_an_emptied_field_empty(self) -> None:
        """None is knowledge: an older value does not fill it."""
        folded = fold(FRESH, [known(item(1, 0), name="a", sku="s"), known(item(2, 1), sku=None)])
        assert folded.document is not None
        assert folded.document.known() == {"name": "a", "sku": None}

    def test_does_not_reach_behind_a_delete(self) -> None:
        """What was known before a deletion is gone with it."""
        folded = fold(FRESH, [known(item(1, 0), sku="s"), gone(item(2, 1)), known(item(3, 2), name="b")])
        assert folded.document is not None
        assert folded.document.known() == {"name": "b"}

    def test_leaves_no_trace_of_a_deleted_row_whatever_the_batches(self) -> None:
        """Deleted and created again in one batch or in two: the row is the same."""
        first, delete, again = known(item(1, 0), name="a", sku="s"), gone(item(2, 1)), known(item(3, 2), name="b")
        one, two = Local(), Local()
        for batch in ([first], [delete], [again]):
            one.apply(batch)
        for batch in ([first], [delete, again]):
            two.apply(batch)
        assert one.content == two.content

    @given(st.lists(st.dictionaries(st.sampled_from(["name", "sku", "unit"]), st.sampled_from("abc")), max_size=6))
    def test_in_order_of_versions_the_batches_do_not_matter(self, documents: list[dict[str, str]]) -> None:
        """All at once or one by one, the row that exists ends the same."""
        items = [known(item(number + 2, number + 1), **one) for number, one in enumerate(documents)]
        first = known(item(1, 0), name="first", sku="first", unit="first")
        singly, together = Local(), Local()
        for one in (first, *items):
            singly.apply([one])
        together.apply([first])
        together.apply(items)
        assert singly.content == together.content


class TestGroup:
    """Items by entity."""

    def test_keeps_sources_types_and_ids_apart(self) -> None:
        """The same id of another type or source is another entity."""
        items = [
            ParsedItem(claimed("1", **more), None)
            for more in ({}, {}, {"source": "other"}, {"entity_type": "customer"})
        ]
        assert sorted(len(found) for found in group(items).values()) == [1, 1, 2]
