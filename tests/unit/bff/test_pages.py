"""Pages and their cursors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import Request
from pydantic import ValidationError

from app.bff.pages import PageQuery, cut
from app.core.ids import new_id


@dataclass(frozen=True, slots=True)
class Row:
    """What is listed."""

    id: UUID


def asked(query: str) -> Request:
    """A request for a list."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/api/bff/tds/runs",
        "query_string": query.encode(),
        "headers": [],
        "scheme": "http",
        "server": ("test", 80),
    }
    return Request(scope)


class TestCut:
    """The page of a list that was read one entry further."""

    def test_ends_without_a_link(self) -> None:
        """Nothing follows what was not read further."""
        rows = [Row(new_id()) for _ in range(2)]
        page = cut(asked("limit=2"), rows, 2)
        assert (page.rows, page.link) == (rows, None)

    def test_links_to_what_follows(self) -> None:
        """The filters stay, the cursor is replaced, and no host is named: a proxy may have another."""
        rows = [Row(new_id()) for _ in range(3)]
        page = cut(asked(f"status=failed&status=completed&cursor={rows[0].id}&limit=2"), rows, 2)
        assert page.rows == rows[:2]
        expected = f"status=failed&status=completed&limit=2&cursor={rows[1].id}"
        assert page.link == f'</api/bff/tds/runs?{expected}>; rel="next"'

    def test_writes_odd_filters_so_that_a_header_can_hold_them(self) -> None:
        """A quotation mark, a line break or Arabic in a filter must not end the header."""
        page = cut(asked("entity_type=%0D%0A%3E%22%D9%85"), [Row(new_id()), Row(new_id())], 1)
        assert page.link is not None
        assert "?entity_type=%0D%0A%3E%22%D9%85&cursor=" in page.link


class TestPageQuery:
    """What a list takes."""

    @pytest.mark.parametrize(
        "given",
        [
            {"limit": "0"},
            {"limit": "201"},
            {"limit": "1.5"},
            {"cursor": ""},
            {"cursor": "x"},
            {"cursor": str(uuid4())},
            {"lmit": "5"},
        ],
    )
    def test_refuses_what_it_does_not_understand(self, given: dict[str, str]) -> None:
        """A misspelt parameter, a limit out of range, and a cursor that no page has given."""
        with pytest.raises(ValidationError):
            PageQuery.model_validate(given)

    def test_takes_what_a_page_gave(self) -> None:
        """A cursor and a limit, as text."""
        cursor = new_id()
        assert PageQuery.model_validate({"limit": "200", "cursor": str(cursor)}).cursor == cursor
