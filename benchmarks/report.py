"""What a benchmark found: one JSON object for programs, indented lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

__all__ = ["Report", "Reports"]

_RESERVED = ("benchmark", "hardware", "versions", "settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A benchmark's figures, and all that is needed to judge and to repeat them.

    ``figures`` are the keys of the JSON object beside ``benchmark``, ``hardware``, ``versions`` and ``settings``.

    Raises:
        ValueError: a figure has one of those names.
    """

    benchmark: str
    hardware: Mapping[str, Any]
    versions: Mapping[str, Any]
    settings: Mapping[str, Any]
    figures: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if taken := [name for name in _RESERVED if name in self.figures]:
            raise ValueError(f"figures must not be called {', '.join(taken)}")

    def as_dict(self) -> dict[str, Any]:
        """The whole, for a program."""
        return {
            "benchmark": self.benchmark,
            "hardware": self.hardware,
            "versions": self.versions,
            "settings": self.settings,
            **self.figures,
        }

    def as_json(self) -> str:
        """The same as one line of JSON."""
        return orjson.dumps(self.as_dict(), option=orjson.OPT_NON_STR_KEYS).decode()

    def as_text(self) -> str:
        """The same for a person."""
        return "\n".join(_lines(self.as_dict(), ""))


@dataclass(frozen=True, slots=True)
class Reports:
    """Several of them, by the names of their benchmarks."""

    reports: Sequence[Report]

    def as_json(self) -> str:
        """One object."""
        found = {report.benchmark: report.as_dict() for report in self.reports}
        return orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS).decode()

    def as_text(self) -> str:
        """One below the other."""
        return "\n\n".join(report.as_text() for report in self.reports)


def _lines(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(cast("Mapping[str, Any]", value), indent + "  ")
        else:
            yield f"{indent}{name}: {_word(value)}"


def _word(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,}"
        case list() | tuple():
            return ", ".join(_word(one) for one in cast("Sequence[object]", value))
        case _:
            return str(value)
