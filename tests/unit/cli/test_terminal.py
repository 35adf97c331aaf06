"""What is printed says what it means, and cannot steer the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from app.cli.terminal import ago, console, print_json, seconds, short_id, state, table, visible

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class TestVisible:
    """``visible``."""

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (None, "-"),
            ("plain", "plain"),
            ("كيبل HDMI", "كيبل HDMI"),
            ("\x1b[2J", "\\u001b[2J"),
            ("\u202bname\u202c", "\\u202bname\\u202c"),
            ("two\nlines\t", "two\\nlines\\t"),
            (Decimal("12500.000000"), "12500"),
            (Decimal("0E+3"), "0"),
            (Decimal("0.1225"), "0.1225"),
            ({"a": Decimal(1)}, '{"a":"1"}'),
            ({}, "-"),
            (NOW, "2026-01-01 12:00:00 UTC"),
        ],
    )
    def test_is_one_harmless_line(self, value: object, shown: str) -> None:
        """Escape and direction characters are spelt out, numbers have no empty digits."""
        assert visible(value) == shown


class TestAgo:
    """``ago`` and ``seconds``."""

    @pytest.mark.parametrize(
        ("passed", "shown"),
        [(0.2, "now"), (1.9, "1 s ago"), (61, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago")],
    )
    def test_is_in_whole_units(self, passed: float, shown: str) -> None:
        """The greatest unit that fits."""
        assert ago(NOW - timedelta(seconds=passed), NOW) == shown

    def test_knows_never(self) -> None:
        """What did not happen."""
        assert ago(None, NOW) == "never"

    @pytest.mark.parametrize(
        ("value", "shown"), [(0.027, "27 ms"), (1.24, "1.2 s"), (30, "30 s"), (90, "1.5 min"), (5_400, "1.5 h")]
    )
    def test_spans_have_the_unit_that_fits(self, value: float, shown: str) -> None:
        """From milliseconds to days."""
        assert seconds(value) == shown


class TestState:
    """``state`` and ``table``."""

    def test_is_a_dot_and_a_word(self) -> None:
        """Underscores are for programs."""
        assert state("dead_letter").plain == "● dead letter"

    def test_colours_the_dot_alone(self) -> None:
        """Green for done, red for given up; the word keeps the terminal's colour."""
        made = state("completed")
        assert [(span.start, span.end, span.style) for span in made.spans] == [(0, 1, "green")]

    def test_tables_take_text_as_it_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Square brackets are no markup."""
        made = table("name")
        made.add_row("[bold]x[/bold]")
        console().print(made)
        assert "[bold]x[/bold]" in capsys.readouterr().out


class TestPrintJson:
    """``print_json``."""

    def test_writes_what_rows_hold(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Times in UTC, decimals and ids as text, bytes in hexadecimal."""
        identifier = UUID(int=5)
        print_json({"at": NOW, "price": Decimal("1.50"), "id": identifier, "hash": b"\x01\xff"})
        assert json.loads(capsys.readouterr().out) == {
            "at": "2026-01-01T12:00:00Z",
            "price": "1.50",
            "id": str(identifier),
            "hash": "01ff",
        }

    def test_refuses_what_is_no_value(self) -> None:
        """Rather than print something that nobody can read."""
        with pytest.raises(TypeError):
            print_json(object())


class TestShortId:
    """``short_id``."""

    def test_is_the_end(self) -> None:
        """Where ids of one moment differ."""
        assert short_id(UUID("01a20f3e-24c6-726a-b797-b343e314af10")) == "e314af10"
