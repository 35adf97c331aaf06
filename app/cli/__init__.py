"""The command ``tds``: everything that a person starts, asks or steers from a shell.

Modules of this package import nothing heavy at their top: ``tds --help`` has to answer at once. What a command
needs (the database, the web server) is imported by the function that carries it out.

Standard output holds the answer and nothing else, so that ``--json`` can be piped; logs, warnings and errors go to
standard error. Exit codes: 0 done, 1 it failed or was refused, 2 the command was given wrongly, 128 + n stopped by
signal n (130: Ctrl-C).
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process."""
    from app.cli.application import commands

    commands(prog_name="tds")
