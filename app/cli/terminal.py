"""What is printed: plain tables, a dot and a word for a state, times as ages. Colour means state, and nothing else."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["ago", "console", "count", "dim", "print_json", "seconds", "short_id", "state", "table", "visible", "warn"]

_WIDE: Final = 110
_WHOLE: Final = {"id": 8, "fingerprint": 16, "prefix": 12, "state": 11}
"""Columns that are of no use cut, and how wide they are: what stands there is typed into the next command."""
_COLOURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("healthy", "completed", "equal", "in step", "resolved", "create", "update", "delete"), "green"),
    **dict.fromkeys(("pending", "processing", "queued", "retry", "degraded", "busy", "draining", "paused"), "yellow"),
    **dict.fromkeys(("critical", "stalled", "failed", "dead letter", "given up", "different", "not in step"), "red"),
}
_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


def console(*, error: bool = False) -> Console:
    """Standard output, or standard error; wide enough for a table where it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(stderr=error, markup=False, highlight=False, emoji=False, width=width)


def warn(message: str) -> None:
    """A line on standard error."""
    typer.echo(message, err=True)


def print_json(value: Any) -> None:
    """One JSON value on standard output; times in ISO 8601, decimals as text."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    typer.echo(orjson.dumps(value, default=_json_ready, option=options).decode())


def _json_ready(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID):  # one of the driver's own class
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without lines; the columns named in ``right`` hold numbers."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="ellipsis",
            no_wrap=name in right or name in _WHOLE,
            min_width=_WHOLE.get(name),
        )
    return made


def state(word: str, *, label: str | None = None) -> Text:
    """A dot in the state's colour, and the word (or ``label`` in its place)."""
    from rich.text import Text

    plain = word.replace("_", " ")
    return Text.assemble(("●", _COLOURS.get(plain, "dim")), f" {label or plain}")


def dim(text: str) -> Text:
    """What is there to be looked up, not to be read."""
    from rich.text import Text

    return Text(text, style="dim")


def short_id(identifier: object) -> str:
    """The last eight digits of an id: those that tell UUIDs of one moment apart."""
    return str(identifier)[-8:]


def count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"


def seconds(value: float) -> str:
    """A span of time in the unit that fits it."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s")):
        if value >= unit:
            return f"{value / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{value * 1000:.0f} ms"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, in whole units; "never" where it was not."""
    if moment is None:
        return "never"
    passed = (now - moment).total_seconds()
    unit, name = next(((u, n) for u, n in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")) if passed >= u), (1, "s"))
    return "now" if passed < 1 else f"{int(passed // unit)} {name} ago"


def visible(value: object) -> str:
    """Any value as one line of text that cannot steer the terminal: control characters are spelt out."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, Mapping | list):
        return _json_line(cast("object", value))
    text = str(value)
    return "".join(_spelt(character) for character in text) if not text.isascii() or not text.isprintable() else text


def _json_line(value: object) -> str:
    import orjson

    return visible(orjson.dumps(value, default=_json_ready).decode()) if value else "-"


def _spelt(character: str) -> str:
    if unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or character in "\u200c\u200d":
        return character
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\u{ord(character):04x}")
