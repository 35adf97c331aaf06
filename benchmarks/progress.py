"""What a benchmark tells while it runs: on standard error, so that standard output holds the result alone."""

from __future__ import annotations

import sys

__all__ = ["tell"]


def tell(line: str) -> None:
    """One line for whoever watches."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
