"""The demo from its first process to its last."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from rich.console import Console

from app.cli.children import Child, child, unless_ended
from app.cli.demo import erp_side, zoho_side
from app.cli.demo.comparison import Comparison, Values, compare, expected_customer, expected_product
from app.cli.demo.live import live
from app.cli.demo.mark import OWN_CHILD, claim
from app.cli.demo.report import invite, look_around, report
from app.cli.progress import display, follow
from app.cli.running import Signals, database, location
from app.cli.sandbox import environment_of
from app.cli.sync import request_runs
from app.cli.terminal import console, count
from app.core.config import Settings
from app.core.database import Database
from app.core.doorbell import Doorbell
from app.core.security.secrets import new_token
from app.migrations.runner import upgrade_engine
from app.sandbox.zoho import SandboxConfig
from app.sandbox.zoho.contract import WebhookRules
from app.sandbox.zoho.control import SandboxControl
from app.tds.models import TDSSyncRun
from app.tds.types import EntityType, RunMode

__all__ = ["DemoOptions", "play"]

_WORKERS: Final = 2
_PLAIN_SKU: Final = re.compile(r"[A-Z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What was asked for; see `app.cli.demo.command`."""

    once: bool
    products: int
    customers: int
    port: int
    seed: int
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """All that runs. ``environment`` connects TDS to the sandbox; a token of its user's own is not shown."""

    database: Database
    control: SandboxControl
    api_url: str
    shown_token: str | None
    environment: Mapping[str, str]
    children: Sequence[Child]


async def play(settings: Settings, options: DemoOptions, signals: Signals) -> bool:
    """Play the demo; whether both sides were equal. Without ``once`` it goes on until a signal ends it."""
    out = console()
    async with _stage(settings, options, out) as stage:
        return await unless_ended(_scenes(stage, options, out, signals), stage.children)


async def _scenes(stage: _Stage, options: DemoOptions, out: Console, signals: Signals) -> bool:
    runs = await _sync(stage)
    started = time.monotonic()
    items, compared = await _compare(stage)
    equal = report(out, compared, runs, seconds=time.monotonic() - started)
    sku = next((item["sku"] for item in items.values() if _PLAIN_SKU.fullmatch(item.get("sku") or "")), None)
    if options.once:
        look_around(out, sku)
        return equal
    invite(out, stage.api_url, stage.shown_token, sku)
    changing = asyncio.ensure_future(live(stage.control, stage.database, out))
    signals.gentle = lambda: _cancel(changing)
    await asyncio.wait([changing])
    if not changing.cancelled():
        changing.result()
    out.print("Ending ...")
    return equal


def _cancel(task: asyncio.Future[None]) -> None:
    task.cancel()


@asynccontextmanager
async def _stage(settings: Settings, options: DemoOptions, out: Console) -> AsyncGenerator[_Stage]:
    config = SandboxConfig(seed=options.seed, products=options.products, customers=options.customers)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tds-demo-")))
        opened = await stack.enter_async_context(database(settings))
        await claim(opened, location(settings), keep=options.keep)
        await upgrade_engine(opened.engine)
        sandbox = await stack.enter_async_context(_tds("sandbox", _sandbox(options), {}, folder))
        zoho = sandbox.lines[0].rpartition(" ")[2]
        out.print(
            f"Zoho       {zoho}  a stand-in: {count(options.products)} items, {count(options.customers)} customers"
        )
        secret = secrets.token_hex(16)
        token = settings.server.admin_token or SecretStr(new_token().text)
        environment = environment_of(zoho, config) | {
            "TDS_ZOHO_WEBHOOK_SECRET": secret,
            "TDS_SERVER_ADMIN_TOKEN": token.get_secret_value(),
            OWN_CHILD: "1",
        }
        server = await stack.enter_async_context(_tds("server", _server(options), environment, folder))
        url = server.lines[0].split()[3].rstrip(",")
        out.print(f"TDS        {url}  the API and {_WORKERS} workers")
        if settings.server.admin_token is None:
            out.print(f"Token      {token.get_secret_value()}  an admin's, for as long as this demo runs")
        out.print(f"Database   {location(settings)}")
        out.print()
        control = await stack.enter_async_context(SandboxControl(zoho))
        await control.set_webhooks(WebhookRules(url=f"{url}/api/tds/webhooks/zoho", secret=secret))
        yield _Stage(
            database=opened,
            control=control,
            api_url=url,
            shown_token=None if settings.server.admin_token else token.get_secret_value(),
            environment=environment,
            children=(sandbox, server),
        )


def _tds(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> AbstractAsyncContextManager[Child]:
    command = (sys.executable, "-m", "app.cli", *arguments, "--with-parent")
    return child(name, command, environment={**os.environ, **environment}, folder=folder)


def _sandbox(options: DemoOptions) -> list[str]:
    sizes = ["--products", str(options.products), "--customers", str(options.customers)]
    return ["sandbox", "zoho", *sizes, "--seed", str(options.seed)]


def _server(options: DemoOptions) -> list[str]:
    return ["serve", "--host", "127.0.0.1", "--port", str(options.port), "--workers", str(_WORKERS)]


async def _sync(stage: _Stage) -> list[TDSSyncRun]:
    ids = await request_runs(
        stage.database,
        Doorbell(stage.database),
        "zoho",
        [EntityType.PRODUCT, EntityType.CUSTOMER],
        RunMode.FULL,
        started_by="tds demo",
    )
    with display("bars") as shown:
        return await follow(stage.database, ids, shown, until_ended=True)


async def _compare(stage: _Stage) -> tuple[Mapping[str, Values], list[Comparison]]:
    items, contacts = await asyncio.gather(
        zoho_side.read_items(stage.environment), zoho_side.read_contacts(stage.environment)
    )
    async with stage.database.session() as session:
        products, customers = await erp_side.read_products(session), await erp_side.read_customers(session)
    return items, [
        compare("product", items, products, expected_product),
        compare("customer", contacts, customers, expected_customer),
    ]
