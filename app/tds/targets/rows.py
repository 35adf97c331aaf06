"""From documents to rows: what a change would alter, and the whole rows to write.

A row is written whole: what a document does not know keeps the value that the row has, or gets the document
class's default where there is no row yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Select, TextClause, Uuid, bindparam, func, join, literal_column, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.core.driver import fetch
from app.core.ids import new_id
from app.core.orm import to_json
from app.tds.core.errors import FieldError, RowMissingError
from app.tds.core.ports import Applied, Assignment, Rejected
from app.tds.documents import Document
from app.tds.types import Outcome

__all__ = ["Plan", "known_ids", "plain", "plan", "rows_by_id", "to_rows", "write_all"]

Row = Mapping[str, Any]

_PLAIN: Final = frozenset({str, int, bool, type(None)})


@dataclass(slots=True)
class Plan:
    """What to write: ``rows`` whole, in JSON values, by id; ``deleted`` ids; and what to answer for each assignment, in
    order.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    deleted: list[str] = field(default_factory=list[str])
    results: list[Applied | Rejected] = field(default_factory=list[Applied | Rejected])


def known_ids(assignments: Iterable[Assignment]) -> list[UUID]:
    """The ids of rows that may be there."""
    return [UUID(one.local_id) for one in assignments if one.local_id and not one.new]


def rows_by_id(identifier: InstrumentedAttribute[UUID], *columns: InstrumentedAttribute[Any]) -> Select[Any]:
    """Read the rows that have one of the ids in ``:ids``, each with its id, and lock them: they are written whole, so
    nobody else may edit them in between.

    Each is looked for from behind in the primary key's index: the newest version of a row stands last, after those that
    are dead and that an old snapshot may keep by the hundred.
    """
    wanted = func.unnest(bindparam("ids", type_=ARRAY(Uuid))).table_valued("id", name="wanted").render_derived()
    row = (
        select(identifier, *columns)
        .where(identifier.between(wanted.c.id, wanted.c.id))
        .order_by(identifier.desc())
        .limit(literal_column("1"))
        .with_for_update(key_share=True)
        .correlate(wanted)
        .lateral("row")
    )
    return select(row).select_from(join(wanted, row, true()))


def plain(value: Any) -> Any:
    """A JSON-ready value: a decimal without trailing zeros, as text; a nested document as a dict."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, list):
        return [plain(one) for one in cast("list[Any]", value)]
    return value


def _plain_row(row: Row) -> dict[str, Any]:
    return {name: value if type(value) in _PLAIN else plain(value) for name, value in row.items()}


def plan(assignments: Iterable[Assignment], existing: Mapping[str, Row]) -> Plan:
    """Compare each assignment with its row. ``existing`` holds canonical fields by row id."""
    made = Plan()
    for assignment in assignments:
        identifier = assignment.local_id
        before = existing.get(identifier) if identifier else None
        if assignment.document is None:
            made.results.append(_delete(made, identifier, before))
        elif before is None:
            made.results.append(_create(made, identifier or str(new_id()), assignment.document))
        else:
            assert identifier is not None  # noqa: S101 - a row was found by it
            changes = assignment.document.whole() if assignment.fresh else assignment.document.known()
            made.results.append(_update(made, identifier, before, changes))
    return made


def _delete(made: Plan, identifier: str | None, before: Row | None) -> Applied:
    if identifier is None or before is None:
        return Applied(local_id=identifier, outcome=Outcome.UNCHANGED)
    made.deleted.append(identifier)
    return Applied(local_id=identifier, outcome=Outcome.DELETED, before=_plain_row(before), changed=sorted(before))


def _create(made: Plan, identifier: str, document: Document) -> Applied | Rejected:
    known, whole = document.model_fields_set, document.whole()
    if "name" not in known or not whole["name"]:
        error = FieldError("name", "is needed to create this entity: it does not exist here yet", "missing")
        return Rejected(code="incomplete_document", errors=[error])
    row = made.rows[identifier] = _plain_row(whole)
    after = {name: value for name, value in row.items() if name in known}
    return Applied(local_id=identifier, outcome=Outcome.CREATED, after=after, changed=sorted(known))


def _update(made: Plan, identifier: str, before: Row, told: Row) -> Applied:
    changes = {name: value for name, value in told.items() if before[name] != value}
    if not changes:
        return Applied(local_id=identifier, outcome=Outcome.UNCHANGED)
    row = made.rows[identifier] = _plain_row({**before, **changes})
    return Applied(
        local_id=identifier,
        outcome=Outcome.UPDATED,
        before=_plain_row({name: before[name] for name in changes}),
        after={name: row[name] for name in changes},
        changed=sorted(changes),
    )


def to_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of JSON values as the array that is written."""
    return to_json(rows)


async def write_all(session: AsyncSession, clause: TextClause, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write whole rows, in JSON values, by a statement that tells how many it has written.

    Raises:
        RowMissingError: not all of them; the transaction must not be committed.
    """
    (row,) = await fetch(session, clause, {"rows": to_rows(rows)})
    if row.written != len(rows):
        raise RowMissingError(f"{len(rows) - row.written} of {len(rows)} rows could not be written")
