"""The state machines: tables, CHECKs and the diagrams of ``docs/states.md`` say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import CheckConstraint

from app.core.orm import Base
from app.tds.models import TDSInboxEvent, TDSJob, TDSSyncQueue, TDSSyncRun
from app.tds.states import FINAL, INBOX, INBOX_FINAL, JOB, JOB_FINAL, QUEUE, RUN, RUN_FINAL, StateTable
from app.tds.types import EventStatus

DIAGRAMS = Path(__file__).parents[3] / "docs" / "states.md"
MACHINES: list[tuple[str, StateTable, tuple[EventStatus, ...], type[Base]]] = [
    ("Inbox events", INBOX, INBOX_FINAL, TDSInboxEvent),
    ("Queue items", QUEUE, FINAL, TDSSyncQueue),
    ("Runs", RUN, RUN_FINAL, TDSSyncRun),
    ("Jobs", JOB, JOB_FINAL, TDSJob),
]
ARROW = re.compile(r"^\s+(\S+) --> ([^\s:]+)", re.MULTILINE)


def arrows(title: str) -> set[tuple[str, str]]:
    """The arrows of the diagram below a title."""
    section = DIAGRAMS.read_text(encoding="utf-8").partition(f"## {title}\n")[2]
    return set(ARROW.findall(section.partition("```mermaid")[2].partition("```")[0]))


def check(model: type[Base], name: str) -> set[str]:
    """The words in a CHECK of a table."""
    table: Any = model.__table__
    (found,) = (
        one for one in table.constraints if isinstance(one, CheckConstraint) and str(one.name).endswith(f"_{name}")
    )
    return set(re.findall(r"'(\w+)'", str(found.sqltext)))


@pytest.mark.parametrize(("title", "table", "final", "model"), MACHINES)
class TestMachine:
    """One machine at a time."""

    def test_diagram_and_table_agree(
        self, title: str, table: StateTable, final: tuple[EventStatus, ...], model: type[Base]
    ) -> None:
        """Every arrow is in the table, and every entry of the table is an arrow."""
        del final, model
        drawn = {arrow for arrow in arrows(title) if "[*]" not in arrow}
        assert drawn == {(state.value, next_.value) for state, following in table.items() for next_ in following}

    def test_diagram_ends_where_the_table_does(
        self, title: str, table: StateTable, final: tuple[EventStatus, ...], model: type[Base]
    ) -> None:
        """The final states are drawn as such."""
        del table, model
        assert {state for state, following in arrows(title) if following == "[*]"} == {state.value for state in final}

    def test_checks_let_in_the_words_of_the_table_only(
        self, title: str, table: StateTable, final: tuple[EventStatus, ...], model: type[Base]
    ) -> None:
        """Known states, and a time of completion for the final ones."""
        del title
        assert check(model, "status_known") == {state.value for state in table}
        assert check(model, "completed_at_iff_status") == {state.value for state in final}

    def test_every_state_can_be_reached_and_left(
        self, title: str, table: StateTable, final: tuple[EventStatus, ...], model: type[Base]
    ) -> None:
        """No state is drawn in vain, and from each a final one can be reached."""
        del model
        reached = {after for before, after in arrows(title) if before == "[*]"}
        for _ in table:
            reached |= {after.value for state, following in table.items() if state in reached for after in following}
        assert reached == {state.value for state in table}
        ending: set[EventStatus] = set(final)
        for _ in table:
            ending |= {state for state, following in table.items() if following & ending}
        assert ending == set(table)
