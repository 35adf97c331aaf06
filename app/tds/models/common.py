"""What the tables of the pipeline share: CHECK texts made from the enums, common columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import mapped_column

from app.core.ids import new_id

__all__ = ["CreatedAt", "PrimaryId", "either_or_none", "iff", "one_of"]

PrimaryId = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
CreatedAt = Annotated[datetime, mapped_column(server_default=text("now()"))]


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """CHECK: the column holds one of these words."""
    return CheckConstraint(f"{column} IN ({_quoted(values)})", name=f"{column}_known")


def iff(column: str, status: str, values: Iterable[str]) -> CheckConstraint:
    """CHECK: the column is filled if, and only if, the status is one of these."""
    return CheckConstraint(f"({column} IS NOT NULL) = ({status} IN ({_quoted(values)}))", name=f"{column}_iff_{status}")


def either_or_none(first: str, second: str) -> CheckConstraint:
    """CHECK: both columns are filled, or neither."""
    return CheckConstraint(f"({first} IS NULL) = ({second} IS NULL)", name=f"{first}_with_{second}")
