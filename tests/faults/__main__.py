"""``python -m tests.faults --seed N --rounds R [--fault NAME] [--json] [--keep]``.

Exit status: 0 if every promise held, 1 if one did not, 2 if the campaign itself could not go on, 130 if interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable

import uvloop
from rich.console import Console

from tests.faults import breakage
from tests.faults.campaign import opened
from tests.faults.cluster import NodeError
from tests.faults.faults import FAULTS, deck
from tests.faults.report import RoundResult, summarise

__all__ = ["main"]

assert breakage.__all__, "importing it registers the faults"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tests.faults", description="Break TDS on purpose, and see its promises hold.")
    parser.add_argument("--seed", type=int, default=1, help="what everything is drawn from")
    parser.add_argument("--rounds", type=int, default=18, help="18 are enough for every fault")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="this one in every round")
    parser.add_argument("--json", action="store_true", help="end with one JSON object; all else goes to standard error")
    parser.add_argument("--keep", action="store_true", help="leave the database and the logs in place")
    return parser


async def _campaign(given: argparse.Namespace, say: Callable[[str], None]) -> list[RoundResult]:
    """Run rounds until one violates a promise: what comes after would only repeat it."""
    results: list[RoundResult] = []
    async with opened(given.seed, say, keep=given.keep) as campaign:
        for number, faults in enumerate(deck(given.seed, given.rounds, given.fault), start=1):
            result = await campaign.round(number, faults)
            results.append(result)
            say(result.line(given.rounds))
            if result.violations:
                break
    return results


async def _until_told(given: argparse.Namespace, say: Callable[[str], None]) -> list[RoundResult]:
    """The same; SIGTERM and SIGINT end it in order, with all its processes."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await _campaign(given, say)


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; the exit status."""
    given = _parser().parse_args(arguments)
    console = Console(stderr=given.json, highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        console.print(text, markup=False)

    try:
        results = uvloop.run(_until_told(given, say))
    except asyncio.CancelledError:
        return 130
    except NodeError as error:
        say(f"the campaign cannot go on: {error}")
        return 2
    summary = summarise(results)
    if given.json:
        sys.stdout.write(summary.to_json() + "\n")
    else:
        summary.print(console)
    if summary.violations:
        last = results[-1]
        fault = f" --fault {given.fault}" if given.fault else ""
        say(f"again: .venv/bin/python -m tests.faults --seed {given.seed} --rounds {last.number}{fault}")
    return 1 if summary.violations else 0


if __name__ == "__main__":
    sys.exit(main())
