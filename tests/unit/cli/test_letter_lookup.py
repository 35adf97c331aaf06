"""A dead letter is found by any part of its id that means only one."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.cli.failures import UsageError
from app.cli.letter_lookup import AmbiguousIdError, find_letter
from app.core.database import Database
from app.tds.core.dead_letter_service import DeadLetterNotFoundError
from app.tds.models import TDSDeadLetterQueue

pytestmark = pytest.mark.integration

FIRST = UUID("01a20f3e-24c6-726a-b797-b343e314af10")
SECOND = UUID("01a20f3e-24d3-721b-9904-6e357089183e")


@pytest.fixture
async def letters(database: Database) -> Database:
    """Two letters of one moment."""
    async with database.transaction() as session:
        for identifier in (FIRST, SECOND):
            session.add(
                TDSDeadLetterQueue(
                    id=identifier,
                    source="zoho",
                    entity_type="product",
                    failure_reason="x",
                    error_code="x",
                    fingerprint="x",
                )
            )
    return database


class TestFindLetter:
    """``find_letter``."""

    @pytest.mark.parametrize("part", [str(FIRST), FIRST.hex, str(FIRST).upper(), "01a20f3e24c6", "14af10", "e314af10"])
    async def test_finds_by_a_unique_part(self, letters: Database, part: str) -> None:
        """Whole, with or without dashes, in any case, by its beginning or its end."""
        async with letters.session() as session:
            assert (await find_letter(session, part)).id == FIRST

    async def test_refuses_a_part_of_several(self, letters: Database) -> None:
        """Ids of one moment begin alike; the ends that tell them apart are shown."""
        async with letters.session() as session:
            with pytest.raises(AmbiguousIdError, match="7089183e, e314af10"):
                await find_letter(session, "01a20f3e")

    @pytest.mark.parametrize("part", ["14af1", "", "xyzxyz", "%%%%%%", "0" * 33])
    async def test_refuses_what_is_no_part(self, letters: Database, part: str) -> None:
        """Too short, too long, or no hexadecimal digits."""
        async with letters.session() as session:
            with pytest.raises(UsageError):
                await find_letter(session, part)

    async def test_does_not_look_in_the_middle(self, letters: Database) -> None:
        """Digits from the middle of an id find nothing."""
        async with letters.session() as session:
            with pytest.raises(DeadLetterNotFoundError):
                await find_letter(session, "726ab797")
