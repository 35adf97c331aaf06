"""What goes wrong, told in one line on standard error that says what to do; and the exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Any, Final, cast

import typer
from typer.core import TyperGroup

from app.core.errors import TdsError

__all__ = ["BAD_USAGE", "Commands", "StoppedError", "UsageError", "explain", "fail"]

FAILED: Final = 1
BAD_USAGE: Final = 2
_BY_SIGNAL: Final = 128


class UsageError(TdsError):
    """The command was given wrongly."""


class StoppedError(Exception):
    """A signal ended the command; ``farewell`` is what its user should know about what goes on without it."""

    def __init__(self, number: int, farewell: str | None = None) -> None:
        super().__init__(number)
        self.number = number
        self.farewell = farewell


class Commands(TyperGroup):
    """The group of all commands: whatever they raise ends here."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error becomes a line and an exit code."""
        try:
            return super().invoke(ctx)
        except StoppedError as stopped:
            if stopped.farewell:
                typer.echo(stopped.farewell, err=True)
            raise typer.Exit(_BY_SIGNAL + stopped.number) from None
        except KeyboardInterrupt:
            raise typer.Exit(_BY_SIGNAL + signal.SIGINT) from None
        except BrokenPipeError:
            _close_quietly()
            raise typer.Exit(FAILED) from None
        except TdsError as error:
            fail(error)
            raise typer.Exit(BAD_USAGE if isinstance(error, UsageError) else FAILED) from None
        except Exception as error:
            if type(error).__module__.startswith("typer"):  # usage errors, and the exits of commands
                raise
            fail(error)
            raise typer.Exit(FAILED) from None


def fail(error: Exception) -> None:
    """Print what is wrong; with ``TDS_LOG_LEVEL=debug`` where it happened, too."""
    if _debugging():
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    typer.echo(f"error: {explain(error)}", err=True)


def explain(error: Exception) -> str:
    """One line on an error, without credentials; of a group, on the first that tells something."""
    error = _first(error)
    if isinstance(error, TdsError):
        return " ".join(error.message.split())
    from app.core.telemetry import mask

    lines = str(mask(str(getattr(error, "orig", None) or error))).strip().splitlines()
    kind = type(error).__module__.partition(".")[0]
    subject = "the database says: " if kind in {"sqlalchemy", "asyncpg"} else ""
    hint = "" if _debugging() else " (TDS_LOG_LEVEL=debug shows where)"
    return f"{subject}{lines[0] if lines else type(error).__name__}{hint}"


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


def _debugging() -> bool:
    return os.environ.get("TDS_LOG_LEVEL", "").lower() == "debug"


def _close_quietly() -> None:
    """Whoever read standard output is gone: the interpreter must not try to flush it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
