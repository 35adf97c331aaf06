"""Column types, without a database: what they accept and what they make of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from app.core.orm import Base, Json, StrEnumType, UnusableValueError, UtcDateTime, UuidType, to_json

DIALECT = postgresql.dialect()
IDENTIFIER = UUID("01940000-0000-7000-8000-000000000001")


class Colour(StrEnum):
    """An enum for the tests."""

    RED = "red"


class TestToJson:
    """JSON text for the database."""

    def test_keeps_the_digits_of_a_decimal(self) -> None:
        """Money becomes a string, wherever it stands."""
        assert to_json({"price": Decimal("1.10"), "lines": [Decimal("1E+2")]}) == '{"price":"1.10","lines":["1E+2"]}'

    def test_knows_uuids_times_and_enums(self) -> None:
        """They become their usual text."""
        value = [IDENTIFIER, datetime(2025, 1, 2, tzinfo=UTC), Colour.RED]
        assert to_json(value) == f'["{IDENTIFIER}","2025-01-02T00:00:00+00:00","red"]'

    def test_refuses_the_rest(self) -> None:
        """An object without a JSON form is an error, not its repr."""
        with pytest.raises(TypeError):
            to_json({"a": object()})


class TestUtcDateTime:
    """Times."""

    def test_is_timestamptz(self) -> None:
        """There is no other time column."""
        assert UtcDateTime().compile(DIALECT) == "TIMESTAMP WITH TIME ZONE"

    def test_takes_naive_as_utc_and_converts_the_rest(self) -> None:
        """``datetime.utcnow()`` is naive, and means UTC."""
        bind = UtcDateTime().process_bind_param
        assert bind(datetime(2025, 1, 2), DIALECT) == datetime(2025, 1, 2, tzinfo=UTC)  # noqa: DTZ001 - the point
        aware = bind(datetime(2025, 1, 2, 3, tzinfo=timezone(timedelta(hours=3))), DIALECT)
        assert aware is not None
        assert aware.isoformat() == "2025-01-02T00:00:00+00:00"
        assert bind(None, DIALECT) is None


class TestUuidType:
    """Ids."""

    def test_takes_a_uuid_or_its_text(self) -> None:
        """The text of an id is as good as the id."""
        bind = UuidType().process_bind_param
        assert bind(str(IDENTIFIER), DIALECT) == IDENTIFIER
        assert bind(IDENTIFIER, DIALECT) is IDENTIFIER
        assert bind(None, DIALECT) is None

    @pytest.mark.parametrize("value", ["", "42", "not-a-uuid", 7, b"x"])
    def test_refuses_others_as_invalid_input(self, value: object) -> None:
        """What is no id is the caller's mistake (422), not the database's (500)."""
        with pytest.raises(UnusableValueError) as caught:
            UuidType().process_bind_param(value, DIALECT)
        assert caught.value.status == 422
        assert caught.value.message == f"{value!r} is not a UUID"


class TestStrEnumType:
    """Enums as text."""

    def test_goes_both_ways(self) -> None:
        """A member or its value in, its value stored, the member out."""
        kind = StrEnumType(Colour)
        assert kind.process_bind_param(Colour.RED, DIALECT) == "red"
        assert kind.process_bind_param("red", DIALECT) == "red"
        assert kind.process_result_value("red", DIALECT) is Colour.RED
        assert kind.process_bind_param(None, DIALECT) is None
        assert kind.process_result_value(None, DIALECT) is None

    def test_refuses_what_is_no_member(self) -> None:
        """The message names the enum."""
        with pytest.raises(UnusableValueError, match="'blue' is not a member of Colour"):
            StrEnumType(Colour).process_bind_param("blue", DIALECT)

    def test_two_enums_are_two_types(self) -> None:
        """SQLAlchemy's statement cache must not take one for the other."""

        class Other(StrEnum):
            RED = "red"

        first, second = (Column("a", StrEnumType(kind)) for kind in (Colour, Other))
        assert first.type._static_cache_key != second.type._static_cache_key  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class TestBase:
    """What all tables share."""

    def test_names_constraints_by_convention(self) -> None:
        """Migrations find constraints by name."""
        table = Table(
            "things",
            MetaData(naming_convention=Base.metadata.naming_convention),
            Column("a", Integer, primary_key=True),
        )
        assert "CONSTRAINT pk_things PRIMARY KEY" in str(CreateTable(table).compile(dialect=DIALECT))

    def test_json_is_jsonb(self) -> None:
        """``Json`` may be used as a class or as an instance."""
        table = Table("t", MetaData(), Column("a", Json), Column("b", Json()))
        assert str(CreateTable(table).compile(dialect=DIALECT)).count("JSONB") == 2
