"""Letters that failed in the same way are told by one fingerprint."""

from __future__ import annotations

from app.tds.core.dead_letters import fingerprint
from app.tds.core.errors import FieldError
from app.tds.core.outcomes import Dead


def of(reason: str = "no", *errors: FieldError, code: str = "x", entity_type: str = "product") -> str:
    """The fingerprint of a failure."""
    return fingerprint(entity_type, Dead(code, reason, errors))


class TestFingerprint:
    """What is the same, and what is not."""

    def test_passes_over_what_varies_in_a_reason(self) -> None:
        """Numbers and quoted values are the item's, not the failure's."""
        assert of("value 'a' of row 17 is bad") == of("value 'bc' of row 4 is bad")
        assert of('key "sku-1" exists') == of('key "other" exists')

    def test_tells_words_codes_and_entity_types_apart(self) -> None:
        """Other words are another failure."""
        assert len({of("is bad"), of("is worse"), of("is bad", code="y"), of("is bad", entity_type="customer")}) == 4

    def test_is_that_of_the_fields_where_there_are_any(self) -> None:
        """The same fields failed in the same way, in any order and whatever their values were."""
        price, name = FieldError("price", "'x' is no number", "decimal"), FieldError("name", "missing", "missing")
        assert of("a", price, name) == of("b", name, price)
        assert of("a", price) != of("a", name)

    def test_is_sixteen_hex_digits(self) -> None:
        """Short enough for an address."""
        assert len(of()) == 16
        assert int(of(), 16) >= 0
