"""The state machines of the pipeline, each as one table: what may follow what.

The CHECKs of the tables and the diagram in ``docs/states.md`` are held against this file by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.tds.types import EventStatus as S

__all__ = ["FINAL", "INBOX", "INBOX_FINAL", "JOB", "JOB_FINAL", "QUEUE", "RUN", "RUN_FINAL", "StateTable"]

StateTable = Mapping[S, frozenset[S]]

INBOX: Final[StateTable] = {
    S.PENDING: frozenset({S.QUEUED, S.DEAD_LETTER, S.CANCELLED}),
    S.QUEUED: frozenset({S.COMPLETED, S.DEAD_LETTER, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.DEAD_LETTER: frozenset(),
    S.CANCELLED: frozenset(),
}

QUEUE: Final[StateTable] = {
    S.PENDING: frozenset({S.PROCESSING, S.COMPLETED, S.CANCELLED}),
    S.PROCESSING: frozenset({S.PENDING, S.RETRY, S.COMPLETED, S.DEAD_LETTER, S.CANCELLED}),
    S.RETRY: frozenset({S.PROCESSING, S.PENDING, S.COMPLETED, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.DEAD_LETTER: frozenset(),
    S.CANCELLED: frozenset(),
}

RUN: Final[StateTable] = {
    S.PENDING: frozenset({S.PROCESSING, S.CANCELLED}),
    S.PROCESSING: frozenset({S.COMPLETED, S.FAILED, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset({S.PENDING}),
    S.CANCELLED: frozenset({S.PENDING}),
}


JOB: Final[StateTable] = {
    S.PENDING: frozenset({S.PROCESSING, S.CANCELLED}),
    S.PROCESSING: frozenset({S.COMPLETED, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.CANCELLED: frozenset(),
}


def _final(table: StateTable) -> tuple[S, ...]:
    return tuple(state for state, following in table.items() if not following)


INBOX_FINAL: Final = _final(INBOX)
FINAL: Final = _final(QUEUE)
JOB_FINAL: Final = _final(JOB)
RUN_FINAL: Final = (S.COMPLETED, S.FAILED, S.CANCELLED)
