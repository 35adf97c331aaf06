"""Pauses, printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from app.cli.terminal import ago, state, table, visible
from app.tds.models import TDSPause

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["pauses_table"]


def pauses_table(pauses: Sequence[TDSPause], now: datetime) -> Table:
    """A line each."""
    made = table("Paused", "what", "by", "since", "note")
    for one in pauses:
        made.add_row(
            state("draining" if one.mode == "drain" else "paused"),
            visible(f"{one.source} {'(all)' if one.entity_type == '*' else one.entity_type}"),
            visible(one.created_by),
            ago(one.created_at, now),
            visible(one.note),
        )
    return made
