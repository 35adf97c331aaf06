"""``tds token``: who may use the API, and how much they may."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.running import load_settings, run, runtime
from app.cli.sync import user
from app.cli.terminal import print_json
from app.core.security.principals import Role

if TYPE_CHECKING:
    from app.core.models import ApiToken
    from app.core.security.tokens import MadeToken, Tokens

__all__ = ["token_commands", "token_lines"]

token_commands = typer.Typer(help="Tokens of the API: make, list, revoke.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
_ALL = 1_000


@token_commands.callback()
def _tokens() -> None:
    """Holds the subcommands."""


@asynccontextmanager
async def _tokens_of_database() -> AsyncGenerator[Tokens]:
    from app.core.security.tokens import Tokens
    from app.tds.core.audit import record_access

    async with runtime(load_settings()) as opened, opened.database.session() as session:
        yield Tokens(session, record_access)


@token_commands.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is: it stands in the audit trail.")],
    *,
    role: Annotated[Role, typer.Option(help="viewer looks, operator acts, admin also keeps tokens.")] = Role.VIEWER,
    expires_in: Annotated[str, typer.Option("--expires-in", help="90d, 12h, 30m, 4w, or never.")] = "90d",
    as_json: AsJson = False,
) -> None:
    """Make a token. It is printed this once: only its hash is kept.

    Examples:

    - tds token create "Sara, phone" --role operator
    - tds token create grafana --expires-in 4w --json
    """
    from app.core.security.tokens import lifetime

    async def work() -> MadeToken:
        async with _tokens_of_database() as tokens:
            return await tokens.create(name, role, expires_in=lifetime(expires_in), actor=user())

    made = run(work())
    if as_json:
        print_json({"token": made.secret.text, **_as_json(made.row)})
        return
    for line in token_lines(made.secret.text, f"{made.row.name}, {made.row.role}, {_until(made.row)}"):
        typer.echo(line)


def token_lines(token: str, what: str) -> Sequence[str]:
    """How a new token is shown."""
    return (f"A token ({what}). It is shown this once; only its hash is kept:", "", f"  {token}", "")


@token_commands.command("list")
def list_tokens(*, as_json: AsJson = False) -> None:
    """All tokens, newest first, revoked and expired ones too.

    Examples:

    - tds token list
    - tds token list --json
    """

    async def look() -> Sequence[ApiToken]:
        async with _tokens_of_database() as tokens:
            return await tokens.find(limit=_ALL)

    found = run(look())
    print_json([_as_json(one) for one in found]) if as_json else _print(found)


@token_commands.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(help="Its prefix (tds_ab12cd34) or its id.")], *, as_json: AsJson = False
) -> None:
    """End a token, and the browser sessions begun with it, at once and in every process.

    Examples:

    - tds token revoke tds_ab12cd34
    - tds token revoke 019a5e2c-7b1d-7c3e-9f10-2a4b6c8d0e1f
    """

    async def work() -> ApiToken:
        async with _tokens_of_database() as tokens:
            return await tokens.revoke((await tokens.named(token)).id, actor=user())

    ended = run(work())
    if as_json:
        print_json(_as_json(ended))
    else:
        typer.echo(f"Revoked: {ended.prefix} ({ended.name}). Whoever used it is out.")


def _print(found: Sequence[ApiToken]) -> None:
    from app.cli.terminal import ago, console, state, table, visible
    from app.core.clock import utc_now
    from app.core.security.views import state_of

    if not found:
        typer.echo("There is no token. Make one: tds token create NAME --role admin")
        return
    now, made = utc_now(), table("prefix", "name", "role", "state", "last used", "expires", "made by")
    for one in found:
        word = state_of(one)
        shown = state({"active": "completed", "expired": "failed", "revoked": "failed"}[word], label=word)
        expires = "never" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d}"
        maker = visible(one.created_by)
        made.add_row(one.prefix, visible(one.name), one.role, shown, ago(one.last_used_at, now), expires, maker)
    console().print(made)


def _until(one: ApiToken) -> str:
    return "never expires" if one.expires_at is None else f"expires {one.expires_at:%Y-%m-%d %H:%M} UTC"


def _as_json(one: ApiToken) -> dict[str, Any]:
    from app.core.security.views import TokenView

    return TokenView.of(one).model_dump()
