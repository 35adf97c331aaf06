"""The processes of a campaign: one server, three workers, one sandbox, each its own, and each proxy in front."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2

from app.sandbox.zoho.contract import WebhookRules
from app.sandbox.zoho.control import SandboxControl
from tests.faults.postgres import DATABASE, Postgres
from tests.faults.proxy import Proxy

__all__ = ["LEASE_SECONDS", "RUN_LEASE_SECONDS", "Cluster", "Node", "NodeError"]

ROOT: Final = Path(__file__).absolute().parents[2]
LEASE_SECONDS: Final = 2.0
RUN_LEASE_SECONDS: Final = 3.0
WORKERS: Final = 3
PRODUCTS: Final = 320
CUSTOMERS: Final = 40
_SECRET: Final = "campaignsecret2024"
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 8.0
_POLL: Final = 0.02
_LINE: Final = 600

_SETTINGS: Final[Mapping[str, str]] = {
    "TDS_DATABASE_POOL_SIZE": "8",
    "TDS_DATABASE_POOL_TIMEOUT": "10",
    "TDS_DATABASE_STATEMENT_SECONDS": "4",
    "TDS_DATABASE_IDLE_TRANSACTION_SECONDS": "4",
    "TDS_QUEUE_BATCH_SIZE": "50",
    "TDS_QUEUE_LEASE_SECONDS": str(LEASE_SECONDS),
    "TDS_QUEUE_RUN_LEASE_SECONDS": str(RUN_LEASE_SECONDS),
    "TDS_QUEUE_POLL_SECONDS": "0.5",
    "TDS_QUEUE_QUARANTINE_AFTER": "6",
    "TDS_RETRY_BASE_SECONDS": "1",
    "TDS_WORKER_COUNT": "1",
    "TDS_LOG_LEVEL": "info",
    "TDS_LOG_FORMAT": "json",
    "TDS_ZOHO_WEBHOOK_SECRET": _SECRET,
}
"""Short, so that a round is. An item may lose six leases: the campaign kills workers for a living."""


class NodeError(Exception):
    """A process of the campaign does not do what it must for the campaign to go on."""


@dataclass(slots=True)
class Node:
    """One process, which may be started again and again. Its output goes to ``log``."""

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start it, unless it runs. Call from the main thread: the process dies with the thread that made it."""
        if self.is_alive:
            return
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.node", *self.arguments],
                cwd=ROOT,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is stopped."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        if self.process is None:
            raise NodeError(f"{self.name} was never started")
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, if it lives."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def stop(self) -> None:
        """SIGTERM; after some seconds SIGKILL."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self.is_alive and time.monotonic() < deadline:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(_POLL)
        self.kill()

    def tail(self, lines: int = 20) -> str:
        """The end of what it said."""
        return "\n".join(line[:_LINE] for line in self.log.read_text(errors="replace").splitlines()[-lines:])


@dataclass(slots=True)
class Cluster:
    """All processes of a campaign, on one PostgreSQL, with files in ``home``. Use ``start`` and ``aclose``."""

    home: Path
    postgres: Postgres
    seed: int
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    proxies: dict[str, Proxy] = field(default_factory=dict[str, Proxy])
    port: int = 0
    _control: SandboxControl | None = None

    @property
    def control(self) -> SandboxControl:
        """The sandbox's control API."""
        if self._control is None:
            raise NodeError("the sandbox is not started")
        return self._control

    @property
    def server(self) -> Node:
        """The API."""
        return self.nodes["server"]

    @property
    def workers(self) -> list[Node]:
        """The worker processes."""
        return [node for name, node in self.nodes.items() if name.startswith("worker")]

    def any_worker(self, rng: random.Random) -> Node:
        """One of the workers."""
        return rng.choice(self.workers)

    async def start(self) -> None:
        """Start everything and wait until it works."""
        await self._start_sandbox()
        self.port = _free_port()
        for name, kind in [("server", "serve"), *((f"worker{n}", "worker") for n in range(1, WORKERS + 1))]:
            await self._add(name, kind)
        await self.wait_until_serving()
        await self._wait_for_workers()
        rules = WebhookRules(
            url=f"http://127.0.0.1:{self.port}/api/tds/webhooks/zoho",
            secret=_SECRET,
            max_attempts=12,
            retry_seconds=0.25,
            timeout_seconds=2.5,
            hold_seconds=1.0,
            concurrency=16,
            queries={
                "created": "entity={module}&event=created",
                "updated": "entity={module}&event=updated",
                "deleted": "entity={module}&event=deleted",
            },
        )
        await self.control.set_webhooks(rules)

    async def aclose(self) -> None:
        """End every process, by its id, and every proxy."""
        if self._control is not None:
            await self._control.aclose()
        for proxy in self.proxies.values():
            proxy.resume()
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))
        for proxy in self.proxies.values():
            await proxy.aclose()

    def revive(self) -> list[str]:
        """Start what is dead; the names."""
        dead = [node for node in self.nodes.values() if not node.is_alive]
        for node in dead:
            node.start()
        return [node.name for node in dead]

    async def wait_until_serving(self) -> None:
        """Wait until the API answers."""
        deadline = time.monotonic() + _START_SECONDS
        async with httpx2.AsyncClient(trust_env=False) as client:
            while time.monotonic() < deadline:
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.port}/health/live", timeout=2)
                except httpx2.HTTPError:
                    await asyncio.sleep(_POLL)
                    continue
                if answer.is_success:
                    return
        raise NodeError(f"the server does not answer:\n{self.server.tail()}")

    async def _add(self, name: str, kind: str) -> None:
        proxy = Proxy(lambda: self.postgres.socket)
        await proxy.start()
        self.proxies[name] = proxy
        environment = {
            **_inherited(),
            **_SETTINGS,
            **await self._zoho(),
            "TDS_HOME": str(self.home),
            "TDS_SERVER_PORT": str(self.port),
            "TDS_DATABASE_URL": f"postgresql://postgres@127.0.0.1:{proxy.port}/{DATABASE}?sslmode=disable",
            "TDS_DATABASE_APPLICATION_NAME": f"tds-{name}",
        }
        self.nodes[name] = Node(name, [kind], environment, self.home / f"{name}.log")
        self.nodes[name].start()

    async def _start_sandbox(self) -> None:
        log = self.home / "sandbox.log"
        arguments = ["sandbox", "--products", str(PRODUCTS), "--customers", str(CUSTOMERS), "--seed", str(self.seed)]
        node = self.nodes["sandbox"] = Node("sandbox", arguments, _inherited(), log)
        node.start()
        deadline = time.monotonic() + _START_SECONDS
        while node.is_alive and time.monotonic() < deadline:
            text = log.read_text()
            if text.startswith("Zoho sandbox on ") and text.endswith("\n"):
                self._control = SandboxControl(text.split()[3])
                return
            await asyncio.sleep(_POLL)
        raise NodeError(f"the sandbox does not start:\n{node.tail()}")

    async def _zoho(self) -> dict[str, str]:
        state = await self.control.state()
        return {
            "TDS_ZOHO_ACCOUNTS_URL": self.control.base_url,
            "TDS_ZOHO_API_URL": self.control.base_url,
            "TDS_ZOHO_ORGANIZATION_ID": state.organization_id,
            "TDS_ZOHO_CLIENT_ID": state.client_id,
            "TDS_ZOHO_CLIENT_SECRET": state.client_secret,
            "TDS_ZOHO_REFRESH_TOKEN": state.refresh_token,
        }

    async def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        pids = [node.pid for node in self.workers]
        async with self.postgres.connection() as connection:
            while time.monotonic() < deadline and all(node.is_alive for node in self.workers):
                beating = await connection.fetchval("SELECT count(*) FROM tds_workers WHERE pid = ANY ($1)", pids)
                if beating == len(pids):
                    return
                await asyncio.sleep(_POLL)
        raise NodeError("\n".join(f"{node.name}:\n{node.tail()}" for node in self.workers))


def _inherited() -> dict[str, str]:
    """This process's environment without settings of the application; the campaign's own variables stay."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TDS_") or name.startswith(("TDS_FAULTS_", "TDS_CI_"))
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])
