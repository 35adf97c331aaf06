"""Names of people and programs: one line, printable, bounded. They stand in logs, tables and terminals."""

from __future__ import annotations

import unicodedata
from typing import Final

from app.core.errors import InvalidError

__all__ = ["LONGEST_NAME", "checked_name", "clean_name"]

LONGEST_NAME: Final = 100


def clean_name(given: str) -> str:
    """What is left of a name that somebody else wrote: printable, on one line, at most 100 characters; may be empty.

    What cannot be printed is a space: a line break would forge a line of the log, a bidirectional mark the order of
    what is read.
    """
    printable = "".join(one if one.isprintable() else " " for one in unicodedata.normalize("NFC", given))
    return " ".join(printable.split())[:LONGEST_NAME].rstrip()


def checked_name(given: str) -> str:
    """A name that somebody gives now, and can mend.

    Raises:
        InvalidError: it is empty, too long, or holds what cannot be printed.
    """
    name = " ".join(unicodedata.normalize("NFC", given).split(" ")).strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidError(f"a name is 1 to {LONGEST_NAME} characters on one line, without control characters")
    return name
