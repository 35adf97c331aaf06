"""Converters of single values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from app.tds.sources.zoho.mapping import convert
from app.tds.sources.zoho.mapping.convert import RefusedError


class TestText:
    """Text."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("كيبل HDMI &quot;4K&quot; &amp; 2m — تحويلة", 'كيبل HDMI "4K" & 2m — تحويلة'),
            ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
            ("R&D, AT&T; &copy 2026 &nosuch;", "R&D, AT&T; &copy 2026 &nosuch;"),
            ("&#1575;&#x627;", "اا"),
            ("  two  spaces\u200f \u202bماوس\u202c 😀 ", "  two  spaces\u200f \u202bماوس\u202c 😀 "),
            ("<b>HTML</b>", "<b>HTML</b>"),
            (111111111111, "111111111111"),
            ("", None),
            (None, None),
        ],
    )
    def test_keeps_all_but_entities(self, value: Any, text: str | None) -> None:
        """Entities are unescaped once and only once; nothing is trimmed or guessed."""
        assert convert.text(value) == text

    @pytest.mark.parametrize("value", [True, Decimal("1.5"), [], {}])
    def test_refuses_what_is_not_text(self, value: Any) -> None:
        """A number with a point has no one way to be written, so it is not text."""
        with pytest.raises(RefusedError):
            convert.text(value)

    def test_refuses_a_nul(self) -> None:
        """A database text cannot hold it."""
        with pytest.raises(RefusedError) as caught:
            convert.text("a\x00b")
        assert caught.value.errors[0].code == "nul_character"


class TestNumber:
    """Numbers."""

    @pytest.mark.parametrize(
        ("value", "written"),
        [
            (Decimal("12500.0"), "12500"),
            (Decimal("6.00"), "6"),
            ("1250.000", "1250"),
            ("-3.5e2", "-350"),
            (Decimal("1E+3"), "1000"),
            (Decimal("-0.0"), "0"),
            (Decimal("1000000.333333"), "1000000.333333"),
            (7, "7"),
        ],
    )
    def test_is_exact_and_written_one_way(self, value: Any, written: str) -> None:
        """However Zoho writes a number, one price has one text."""
        assert str(convert.number(value)) == written

    @pytest.mark.parametrize("value", ["", None])
    def test_knows_not_set(self, value: Any) -> None:
        """Empty is None, which is not 0."""
        assert convert.number(value) is None

    @pytest.mark.parametrize(
        "value",
        [
            "12,250",
            "1.250,00",
            "1_000",
            "١٢",
            "NaN",
            " 5",
            "5 ",
            "0x1",
            "1e999",
            "1" * 30,
            True,
            [1],
            {"a": 1},
            Decimal("1E+99"),
            Decimal("0." + "3" * 150),
        ],
    )
    def test_refuses_what_only_looks_like_one(self, value: Any) -> None:
        """Separators, other digits, words, and what could not be kept exactly."""
        with pytest.raises(RefusedError):
            convert.number(value)


class TestStock:
    """Stock."""

    @pytest.mark.parametrize("value", ["", None])
    def test_is_unknown_when_empty(self, value: Any) -> None:
        """An empty stock is no stock of zero, and no known emptiness either."""
        assert convert.stock(value) is UNSET

    def test_may_be_negative(self) -> None:
        """Zoho sells what it has not got."""
        assert convert.stock(Decimal("-3.0")) == Decimal(-3)


class TestWhole:
    """Whole numbers."""

    @pytest.mark.parametrize(("value", "number"), [(15, 15), ("30", 30), (Decimal("15.0"), 15), (-2, -2), ("", None)])
    def test_reads_all_ways_of_writing(self, value: Any, number: int | None) -> None:
        """As a number, as text, with a zero behind the point."""
        assert convert.whole(value) == number

    @pytest.mark.parametrize("value", [Decimal("1.5"), "Net 15", True])
    def test_refuses_the_rest(self, value: Any) -> None:
        """Half a day is no payment term."""
        with pytest.raises(RefusedError):
            convert.whole(value)


class TestFlag:
    """Booleans."""

    @pytest.mark.parametrize(
        ("value", "flag"), [(True, True), ("true", True), ("false", False), ("", False), (None, False)]
    )
    def test_reads_text_too(self, value: Any, flag: bool) -> None:  # noqa: FBT001 - the value under test
        """Some of Zoho's flags are text."""
        assert convert.flag(value) is flag

    @pytest.mark.parametrize("value", ["yes", 1, 0, []])
    def test_refuses_the_rest(self, value: Any) -> None:
        """Nothing is guessed."""
        with pytest.raises(RefusedError):
            convert.flag(value)


class TestIdentifier:
    """Ids."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("2646610000900000001", "2646610000900000001"),
            (2646610000900000002, "2646610000900000002"),
            (10**25 + 1, "10000000000000000000000001"),
            ("", None),
            (None, None),
        ],
    )
    def test_keeps_every_digit(self, value: Any, text: str | None) -> None:
        """As text or as a whole number of any length."""
        assert convert.identifier(value) == text

    @pytest.mark.parametrize("value", [Decimal("2.64661E+18"), True, "1 2", "../1", "1\x00", "x" * 101, [], {}])
    def test_refuses_what_cannot_be_one(self, value: Any) -> None:
        """A float has lost its last digits; a path is no id."""
        with pytest.raises(RefusedError):
            convert.identifier(value)


class TestMoment:
    """Times."""

    @pytest.mark.parametrize(
        ("value", "moment"),
        [
            ("2025-11-13T08:30:00+0300", datetime(2025, 11, 13, 5, 30, tzinfo=UTC)),
            ("2013-11-18T02:17:40-0800", datetime(2013, 11, 18, 10, 17, 40, tzinfo=UTC)),
            ("2024-02-01T10:54:54+02:00", datetime(2024, 2, 1, 8, 54, 54, tzinfo=UTC)),
            ("2024-02-01T10:54:54Z", datetime(2024, 2, 1, 10, 54, 54, tzinfo=UTC)),
            ("2013-01-24", datetime(2013, 1, 24, tzinfo=UTC)),
            ("", None),
            (None, None),
        ],
    )
    def test_is_utc(self, value: Any, moment: datetime | None) -> None:
        """An offset without a colon, and a date alone."""
        assert convert.moment(value) == moment

    @pytest.mark.parametrize(
        "value",
        [
            "yesterday",
            "13/11/2025",
            "2025-13-01",
            "2025-02-30T00:00:00+0000",
            "2025-11-13T08:30:00",
            20251113,
            "0001-01-01T00:00:00+0300",
            "2025-W01-1",
            "2025-11-13T99:30:00+0300",
        ],
    )
    def test_refuses_nonsense(self, value: Any) -> None:
        """A time without an offset too: it could be any of 26 hours."""
        with pytest.raises(RefusedError):
            convert.moment(value)


class TestCustomFields:
    """Custom fields."""

    def test_are_named_by_api_name_then_label(self) -> None:
        """The label serves where there is no API name, the id where there is neither."""
        given = [
            {"api_name": "cf_price", "label": "سعر الجملة", "value": Decimal("12250.0"), "value_formatted": "12,250"},
            {"index": 1, "label": "VAT &amp; ID", "value": "GB &amp; D"},
            {"customfield_id": 481500000000333002, "label": "", "value": ""},
            {"customfield_id": "", "label": "", "value": "Normal"},
            {"api_name": "cf_many", "value": ["a", {"b": True}]},
        ]
        assert convert.custom_fields(given) == {
            "cf_price": Decimal(12250),
            "VAT & ID": "GB & D",
            "481500000000333002": None,
            "cf_many": ["a", {"b": True}],
        }

    @pytest.mark.parametrize("value", ["", None])
    def test_say_nothing_when_empty(self, value: Any) -> None:
        """Not a list, not known."""
        assert convert.custom_fields(value) is UNSET

    @pytest.mark.parametrize(
        ("value", "field", "code"),
        [
            ({}, "", "invalid_field"),
            ([1], "0", "invalid_field"),
            ([{"label": "a", "value": 1}, {"label": "b", "value": ["x\x00"]}], "1", "nul_character"),
            ([{"label": "b\x00", "value": 1}], "0", "nul_character"),
            ([{"label": "b", "value": {"k\x00": 1}}], "0", "nul_character"),
        ],
    )
    def test_tell_which_is_wrong(self, value: Any, field: str, code: str) -> None:
        """An error has the position of its field."""
        with pytest.raises(RefusedError) as caught:
            convert.custom_fields(value)
        assert [(e.field, e.code) for e in caught.value.errors] == [(field, code)]

    def test_may_not_be_bottomless(self) -> None:
        """What is nested deeper than JSON can be written is refused."""
        value: Any = "x"
        for _ in range(40):
            value = [value]
        with pytest.raises(RefusedError) as caught:
            convert.custom_fields([{"label": "deep", "value": value}])
        assert caught.value.errors[0].code == "too_deep"
