"""Load over HTTP, from a process of its own: what to send, and what came of it.

The generator (`benchmarks.generator`) writes requests that were built beforehand to raw sockets of kept connections and
reads no more of an answer than it must. Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from benchmarks.figures import percentiles_ms
from benchmarks.processes import child

__all__ = ["Load", "Outcome", "get", "run_load"]

OK: Final = range(200, 400)


class Load(msgspec.Struct, kw_only=True, frozen=True):
    """What to send to 127.0.0.1-like ``host``.

    With ``rate`` requests are sent at fixed times, so many a second, whether or not earlier ones were answered. Else
    each of ``connections`` sends its next request once the last is answered; with ``burst``, so many requests at a time
    with ``pause`` seconds between the bursts. Ends when ``requests`` are used up, or, with ``seconds``, goes round
    until those are over.
    """

    host: str
    port: int
    requests: list[bytes]
    connections: int = 1
    seconds: float | None = None
    rate: float | None = None
    burst: int | None = None
    pause: float = 0.0
    keep_bodies: bool = False


class Outcome(msgspec.Struct, kw_only=True):
    """What came back. ``due`` are the times at which requests were to be sent, ``latencies`` seconds from then to the
    answer, in the order of the requests where there is a rate. ``resent`` were on connections that the server closed.
    """

    began: float
    ended: float
    due: list[float]
    latencies: list[float]
    late: list[float]
    statuses: dict[int, int]
    bodies: list[bytes]
    bursts: list[float]
    resent: int
    cpu_seconds: float

    @property
    def answered(self) -> int:
        """How many requests were answered."""
        return sum(self.statuses.values())

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return round(self.answered / (self.ended - self.began), 1)

    def figures(self) -> dict[str, Any]:
        """For a report."""
        return {
            "requests": self.answered,
            "seconds": round(self.ended - self.began, 3),
            "requests_per_second": self.per_second,
            **percentiles_ms(self.latencies),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "resent": self.resent,
            "generator_cpu_seconds": round(self.cpu_seconds, 3),
        }

    def refused(self) -> Counter[int]:
        """Answers that are neither 2xx nor 3xx."""
        return Counter({status: count for status, count in self.statuses.items() if status not in OK})


def get(path: str, host: str, **headers: str) -> bytes:
    """A GET request as bytes; underscores in header names stand for hyphens."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def run_load(load: Load) -> Outcome:
    """Send it from another process, to the end.

    Raises:
        ChildError: the generator fails; it says why.
    """
    with TemporaryDirectory(prefix="tds-load-") as name:
        folder = Path(name)
        plan, result = folder / "plan", folder / "result"
        plan.write_bytes(msgspec.msgpack.encode(load))
        command = [sys.executable, "-m", "benchmarks.generator", str(plan), str(result)]
        async with child("load generator", command, environment={}, folder=folder) as generator:
            if await generator.process.wait() != 0:
                await generator.wait_ended()
            outcome = msgspec.msgpack.decode(result.read_bytes(), type=Outcome)
    return outcome
