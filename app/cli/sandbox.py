"""``tds sandbox``: stand-ins for outside systems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.failures import StoppedError
from app.cli.lifeline import end_with_parent
from app.cli.serving import WithParent
from app.core.errors import ConfigurationError

if TYPE_CHECKING:
    from app.sandbox.zoho import SandboxConfig

__all__ = ["sandboxes"]

sandboxes = typer.Typer(help="Stand-ins for outside systems, to try against.", no_args_is_help=True)


@sandboxes.callback()
def _sandboxes() -> None:
    """Holds the subcommands."""


@sandboxes.command("zoho")
def zoho(
    *,
    products: Annotated[int, typer.Option(min=0, max=1_000_000, help="Items to make up.")] = 2200,
    customers: Annotated[int, typer.Option(min=0, max=1_000_000, help="Customers to make up.")] = 500,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 is a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same company.")] = 1,
    with_parent: WithParent = False,
) -> None:
    """Serve a made-up company over Zoho's APIs until Ctrl-C; prints what to set to connect TDS to it.

    Examples:

    - tds sandbox zoho
    - tds sandbox zoho --products 50000 --customers 5000 --port 9100
    """
    from app.sandbox.zoho import SandboxConfig, serve

    if with_parent:
        end_with_parent()
    config = SandboxConfig(seed=seed, products=products, customers=customers)
    try:
        serve(config, port=port, on_ready=lambda url: _announce(url, config))
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on 127.0.0.1:{port} ({error.strerror}): choose another with --port"
        ) from error
    except KeyboardInterrupt as error:
        raise StoppedError(2) from error


def _announce(url: str, config: SandboxConfig) -> None:
    sys.stdout.write(f"Zoho sandbox on {url}\n")
    for name, value in environment_of(url, config).items():
        sys.stdout.write(f"export {name}={value}\n")
    sys.stdout.flush()


def environment_of(url: str, config: SandboxConfig) -> dict[str, str]:
    """The settings that connect TDS to a sandbox."""
    return {
        "TDS_ZOHO_ACCOUNTS_URL": url,
        "TDS_ZOHO_API_URL": url,
        "TDS_ZOHO_ORGANIZATION_ID": config.organization_id,
        "TDS_ZOHO_CLIENT_ID": config.client_id,
        "TDS_ZOHO_CLIENT_SECRET": config.client_secret,
        "TDS_ZOHO_REFRESH_TOKEN": config.refresh_token,
    }
