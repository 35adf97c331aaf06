"""Whether a change can follow a state."""

from __future__ import annotations

from typing import Any

from tests.faults.promises.chains import after, follow

Row = dict[str, Any]


def _change(operation: str, before: Row | None = None, after: Row | None = None) -> Row:
    return {"operation": operation, "before": before, "after": after}


class TestFollow:
    """Why not, or None."""

    def test_accepts_an_update_that_begins_where_the_last_one_ended(self) -> None:
        """The value before is the value that was."""
        assert follow({"name": "A", "price": "1"}, _change("update", {"price": "1"}, {"price": "2"})) is None

    def test_refuses_an_update_that_begins_elsewhere(self) -> None:
        """Somebody else wrote in between, and his change was lost."""
        problem = follow({"price": "3"}, _change("update", {"price": "1"}, {"price": "2"}))
        assert problem == "a update began with price = '1', and it was '3'"

    def test_accepts_a_field_that_was_not_known(self) -> None:
        """What a creation did not name has its default."""
        assert follow({"name": "A"}, _change("update", {"price": None}, {"price": "2"})) is None

    def test_refuses_a_second_creation(self) -> None:
        """What is there is not created."""
        assert follow({"name": "A"}, _change("create", None, {"name": "A"})) == "a create of an entity that is there"

    def test_refuses_an_update_of_nothing(self) -> None:
        """What is gone is not updated."""
        assert follow(None, _change("update", {}, {"name": "A"})) == "a update of an entity that is not there"

    def test_accepts_a_creation_after_a_deletion(self) -> None:
        """A newer version may bring an entity back."""
        assert follow(after({"name": "A"}, _change("delete", {"name": "A"})), _change("create")) is None


class TestAfter:
    """The state after a change."""

    def test_lays_the_new_values_over_the_old(self) -> None:
        """Fields that a change does not name stay."""
        assert after({"name": "A", "sku": "1"}, _change("update", {"sku": "1"}, {"sku": "2"})) == {
            "name": "A",
            "sku": "2",
        }

    def test_is_none_once_deleted(self) -> None:
        """Nothing is left."""
        assert after({"name": "A"}, _change("delete", {"name": "A"})) is None
