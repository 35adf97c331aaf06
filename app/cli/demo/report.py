"""What the comparison found, and what to try next, printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from app.cli.demo.comparison import Comparison
from app.cli.terminal import count, dim, state, table, visible
from app.tds.models import TDSSyncRun
from app.tds.types import EventStatus

__all__ = ["invite", "look_around", "report"]

_SHOWN: Final = 10


def report(out: Console, compared: Sequence[Comparison], runs: Sequence[TDSSyncRun], *, seconds: float) -> bool:
    """Print the table, the verdict and the first differences; whether all is equal and no run has failed."""
    right = ("Zoho", "here", "equal", "different", "missing", "extra", "synced in", "items/s")
    made = table("", *right, right=right)
    for one in compared:
        run = next(run for run in runs if run.entity_type == one.kind)
        made.add_row(
            state("equal" if one.is_equal else "different", label=f"{one.kind}s"),
            *(count(number) for number in (one.theirs, one.ours)),
            f"{one.equal}/{one.theirs}",
            *(count(number) for number in (one.different, len(one.missing), len(one.extra))),
            *_speed(run),
        )
    out.print()
    out.print(made)
    out.print()
    for one in compared:
        _differences(out, one)
    return _verdict(out, compared, runs, seconds)


def _speed(run: TDSSyncRun) -> tuple[str, str]:
    if run.completed_at is None or run.started_at is None:
        return "-", "-"
    took = (run.completed_at - run.started_at).total_seconds()
    return f"{took:.1f} s", count(round(run.processed_events / max(took, 0.001)))


def _differences(out: Console, one: Comparison) -> None:
    for difference in one.differences[:_SHOWN]:
        where = f"{one.kind} {difference.record} {difference.field}"
        out.print(f"  {where}: {visible(difference.theirs)} at Zoho, {visible(difference.ours)} here", soft_wrap=True)
    for word, ids in (("missing here", one.missing), ("only here", one.extra)):
        for identifier in ids[:_SHOWN]:
            out.print(f"  {one.kind} {identifier} is {word}")


def _verdict(out: Console, compared: Sequence[Comparison], runs: Sequence[TDSSyncRun], seconds: float) -> bool:
    records, values = sum(one.theirs for one in compared), sum(one.values for one in compared)
    failed = [run for run in runs if run.status is not EventStatus.COMPLETED or run.failed_events]
    for run in failed:
        out.print(f"  the run of {run.entity_type} is {run.status.value}: {visible(run.error_summary)}", soft_wrap=True)
    equal = all(one.is_equal for one in compared) and not failed
    what = f"{count(records)} records, {count(values)} fields compared in {seconds:.1f} s"
    verdict = "Both sides are equal" if equal else "The two sides are not equal"
    out.print(Text.assemble(state("equal" if equal else "different", label=verdict), f": {what}"))
    return equal


def look_around(out: Console, sku: str | None) -> None:
    """What to look at when it is over."""
    out.print()
    out.print("What it has made is still there:")
    for line in ("tds status", f"tds show product {sku}" if sku else "tds db status"):
        out.print(f"  {line}")


def invite(out: Console, api_url: str, token: str | None, sku: str | None) -> None:
    """What to try while changes go on."""
    known = f"TDS_TOKEN={token}" if token else 'TDS_TOKEN="$TDS_SERVER_ADMIN_TOKEN"'
    asked = f'curl -s -H "Authorization: Bearer $TDS_TOKEN" {api_url}/api/bff/tds/dashboard'
    out.print()
    out.print("Now Zoho changes every second: some webhooks come late, some twice, some cannot be used.")
    out.print("In another terminal:")
    for line in ("tds status", f"tds show product {sku}", "tds dead-letter list", known, asked):
        out.print(f"  {line}", soft_wrap=True)
    out.print("Ctrl-C ends it all.")
    out.print()
    out.print(dim("time      after   what"))
