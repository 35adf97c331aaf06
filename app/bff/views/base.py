"""What the views share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["FromRow", "View", "with_example"]


class View(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True)


class FromRow(View):
    """The same, read from a row's attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def with_example(example: dict[str, Any]) -> ConfigDict:
    """Settings of a view that the API's description shows by an example."""
    return ConfigDict(frozen=True, from_attributes=True, json_schema_extra={"examples": [example]})
