"""The one error base of the project.

A concrete error is a small class beside the code that raises it. Its docstring is its default
message, ``status`` the HTTP status it becomes, ``code`` its stable name (the end of the problem
document's ``type``), and whatever a caller needs to react is an attribute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

__all__ = ["ConfigurationError", "ConflictError", "InvalidError", "NotFoundError", "TdsError"]


class TdsError(Exception):
    """Something went wrong in TDS."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "tds-error"
    headers: Mapping[str, str] = MappingProxyType({})
    """What the answer's head tells besides: ``Retry-After``, ``WWW-Authenticate``."""

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            name = re.sub(r"(Error|Exception)$", "", cls.__name__)
            cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().split("\n\n")[0])

    @property
    def details(self) -> Mapping[str, Any]:
        """What the problem document tells besides: the fields that are wrong, as ``errors``."""
        return {}

    @property
    def message(self) -> str:
        """One sentence for a person: what is wrong and, where it can be told, what to do."""
        return str(self.args[0])


class ConfigurationError(TdsError):
    """A setting is missing or wrong."""


class NotFoundError(TdsError):
    """There is nothing of that name or id."""

    status = 404


class ConflictError(TdsError):
    """The thing is in a state that does not allow this."""

    status = 409


class InvalidError(TdsError):
    """The input cannot be used as it is."""

    status = 422
