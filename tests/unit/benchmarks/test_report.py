"""A benchmark's result, for programs and for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.report import Report, Reports


def made(**figures: Any) -> Report:
    """A report with these figures."""
    return Report(
        benchmark="pipeline", hardware={"cores": 2}, versions={"python": "3"}, settings={"batch": 5}, figures=figures
    )


def test_json_is_one_line_with_figures_beside_the_circumstances() -> None:
    """A program reads ``items_per_second`` at the top."""
    line = made(items_per_second=1234.5, p50_ms={10: 1.5}).as_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "benchmark": "pipeline",
        "hardware": {"cores": 2},
        "versions": {"python": "3"},
        "settings": {"batch": 5},
        "items_per_second": 1234.5,
        "p50_ms": {"10": 1.5},
    }


def test_text_indents_what_belongs_together() -> None:
    """A person reads names, numbers with separators, and a dash for what was not measured."""
    lines = made(items=30000, statements=None, ok=True, rates=[1.5, 2], phases={"store": {"seconds": 2.25}}).as_text()
    assert lines.splitlines()[-7:] == [
        "items: 30,000",
        "statements: -",
        "ok: yes",
        "rates: 1.5, 2",
        "phases:",
        "  store:",
        "    seconds: 2.25",
    ]


@pytest.mark.parametrize("name", ["benchmark", "hardware", "versions", "settings"])
def test_a_figure_cannot_hide_a_circumstance(name: str) -> None:
    """It would replace it in the JSON object."""
    with pytest.raises(ValueError, match=name):
        made(**{name: 1})


def test_several_reports_are_one_object_by_name() -> None:
    """``all --json`` stays one JSON object."""
    found = json.loads(Reports([made(items=1)]).as_json())
    assert found["pipeline"]["items"] == 1
