"""HTTP by the byte: a client may send what no library would."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["TOKEN", "Answer", "Server", "Wire", "head", "problem_of"]

TOKEN: Final = "example-admin-token"
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, if it is JSON."""
        return json.loads(self.body)


def head(method: str | bytes, target: str | bytes, *headers: str | bytes, close: bool = True) -> bytes:
    """A request's head, signed in as admin; ``headers`` are whole lines, and may replace Host by beginning with it."""
    lines = [b" ".join((_bytes(method), _bytes(target), b"HTTP/1.1")), *map(_bytes, headers)]
    names = [line.partition(b":")[0].lower() for line in lines[1:]]
    if b"host" not in names:
        lines.insert(1, b"Host: tds.example")
    if b"authorization" not in names:
        lines.append(f"Authorization: Bearer {TOKEN}".encode())
    if close and b"connection" not in names:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b""])


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


class Wire:
    """A connection."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(_PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Send all, unless the other side has hung up."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def dribble(self, data: Iterable[bytes]) -> bool:
        """Send piece by piece, slowly, until the server answers or hangs up; whether it did before the end."""
        self.socket.settimeout(0.05)
        try:
            for piece in data:
                if not self.send(piece):
                    return True
                with suppress(TimeoutError):
                    self._read += self.socket.recv(65_536)
                    return True
            return False
        finally:
            self.socket.settimeout(_PATIENCE)

    def answer(self, *, to_head: bool = False) -> Answer | None:
        """The next answer; None: the server hung up without one."""
        text = self._until(b"\r\n\r\n")
        if text is None:
            return None
        status, *lines = text.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = b"" if to_head else self._body(headers)
        return Answer(int(status.split()[1]), headers, body)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self._exactly(int(headers.get("content-length", "0")))
        body = b""
        while True:
            line = self._until(b"\r\n")
            assert line is not None, "the body ended in the middle"
            chunk = self._exactly(int(line, 16) + 2)[:-2]
            if not chunk:
                return body
            body += chunk

    def _more(self) -> bool:
        try:
            chunk = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self._read += chunk
        return bool(chunk)

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._read:
            if not self._more():
                return None
        text, _, self._read = self._read.partition(mark)
        return text

    def _exactly(self, amount: int) -> bytes:
        while len(self._read) < amount:
            assert self._more(), "the answer ended in the middle"
        taken, self._read = self._read[:amount], self._read[amount:]
        return taken

    def hangs_up(self) -> bool:
        """Whether the server ends the connection, whatever it sends before."""
        while self._more():
            self._read = b""
        return True


@dataclass(frozen=True, slots=True)
class Server:
    """The server under attack."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def wire(self, *, receive_buffer: int | None = None) -> Wire:
        """A new connection."""
        return Wire(self.port, receive_buffer=receive_buffer)

    def exchange(self, *data: bytes, to_head: bool = False) -> Answer:
        """Send something on a connection of its own; the answer, which must come."""
        with self.wire() as wire:
            for piece in data:
                if not wire.send(piece):
                    break
            answer = wire.answer(to_head=to_head)
        assert answer is not None, "the server hung up without an answer"
        return answer

    def get(self, target: str | bytes, *headers: str | bytes) -> Answer:
        """The answer to a GET."""
        return self.exchange(head("GET", target, *headers))

    def post(self, target: str, body: bytes, *headers: str | bytes) -> Answer:
        """The answer to a POST of JSON, unless the headers say otherwise."""
        kind = (
            ()
            if any(_bytes(one).lower().startswith(b"content-type") for one in headers)
            else ("Content-Type: application/json",)
        )
        return self.exchange(head("POST", target, *kind, f"Content-Length: {len(body)}", *headers), body)

    def assert_alive(self) -> None:
        """It is the same process, and it answers."""
        assert self.process.poll() is None
        assert self.get("/health/live").status == 200

    def log_lines(self) -> list[dict[str, Any]]:
        """All it has logged; each line must be one JSON object."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def wait_for_log(self, text: str) -> list[dict[str, Any]]:
        """The lines, once one of them holds this."""
        deadline = time.monotonic() + _PATIENCE
        while text not in self.log.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, f"never logged: {text}"
            time.sleep(0.05)
        return self.log_lines()


def problem_of(answer: Answer, *statuses: int) -> dict[str, Any]:
    """The problem document of an answer, which must be one, with a stable type and the id of its request."""
    assert answer.status in statuses if statuses else 400 <= answer.status < 500, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/problem+json", answer
    document = answer.json
    assert document["type"].startswith("urn:tds:problem:"), document
    assert document["status"] == answer.status, document
    assert document["title"], document
    assert document["detail"], document
    assert document["request_id"] == answer.headers["x-request-id"], document
    return document
