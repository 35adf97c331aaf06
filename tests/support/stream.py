"""Reading server-sent events in tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Received", "StreamParser"]


@dataclass(frozen=True, slots=True)
class Received:
    """One message: ``data`` is what its JSON says."""

    event: str
    id: str
    data: Any


@dataclass(slots=True)
class StreamParser:
    """Takes bytes as they come, as a browser's EventSource does: the last id is kept even without a message."""

    messages: list[Received] = field(default_factory=list[Received])
    comments: list[str] = field(default_factory=list[str])
    last_id: str = ""
    retry: int | None = None
    _rest: bytes = b""
    _fields: dict[str, str] = field(default_factory=dict[str, str])

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line.decode())

    def of(self, *events: str) -> list[Received]:
        """The messages of these types; without any, those of domain events."""
        wanted = events or None
        return [one for one in self.messages if (one.event in wanted if wanted else ".stream." not in one.event)]

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            self._dispatch()
        elif name == "":
            self.comments.append(value)
        elif name == "retry":
            self.retry = int(value)
        else:
            assert name not in self._fields, f"{name} twice in one message"
            self._fields[name] = value

    def _dispatch(self) -> None:
        fields, self._fields = self._fields, {}
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            self.messages.append(Received(fields["event"], self.last_id, json.loads(fields["data"])))
