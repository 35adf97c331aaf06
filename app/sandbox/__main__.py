"""``python -m app.sandbox --products 2200 --customers 500 --port 0 --seed 1``."""

from __future__ import annotations

import argparse
from contextlib import suppress

from app.sandbox.zoho import SandboxConfig, serve

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve until stopped."""
    given = vars(_parser().parse_args(arguments))
    host, port = given.pop("host"), given.pop("port")
    config = SandboxConfig(**given)
    with suppress(KeyboardInterrupt):
        serve(config, host=host, port=port)


def _parser() -> argparse.ArgumentParser:
    defaults = SandboxConfig()
    parser = argparse.ArgumentParser("app.sandbox", description="A stand-in for Zoho Books and Zoho Inventory.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 is a free one")
    for name in ("seed", "products", "customers"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    for name in ("organization-id", "client-id", "client-secret", "refresh-token"):
        parser.add_argument(f"--{name}", default=getattr(defaults, name.replace("-", "_")))
    parser.add_argument("--webhook-url", help="where webhooks go; none are sent without")
    parser.add_argument("--webhook-secret", help="12-50 letters and digits; nothing is signed without")
    return parser


if __name__ == "__main__":
    main()
