"""The control API: plain JSON under ``/_sandbox/``. The package's docstring lists the calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import ValidationError
from starlette.responses import Response
from starlette.routing import Mount, Route

from app.sandbox.zoho import times
from app.sandbox.zoho.answers import json_response, raw_response
from app.sandbox.zoho.contract import (
    Behaviour,
    ChangeRequest,
    Contract,
    FaultRule,
    Limits,
    Settled,
    SettleRequest,
    TokenRules,
    WebhookRules,
)
from app.sandbox.zoho.records import RecordGoneError
from app.sandbox.zoho.wire import decode, encode

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.sandbox.zoho.contract import Delivery
    from app.sandbox.zoho.state import ZohoSandbox
    from app.sandbox.zoho.wire import Data

__all__ = ["control_routes"]

Body = TypeVar("Body", bound=Contract)
Endpoint = Callable[["Request"], Awaitable[Response]]


def control_routes(sandbox: ZohoSandbox) -> Mount:
    """The control API of one sandbox."""
    control = _Control(sandbox)
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/state", control.state),
        ("GET", "/records", control.records),
        ("POST", "/changes", control.changes),
        ("GET", "/webhooks", control.webhooks),
        ("POST", "/webhooks", control.set_webhooks),
        ("GET", "/deliveries", control.deliveries),
        ("POST", "/settle", control.settle),
        ("GET", "/faults", control.faults),
        ("POST", "/faults", control.add_faults),
        ("DELETE", "/faults", control.clear_faults),
        ("GET", "/limits", control.limits),
        ("POST", "/limits", control.set_limits),
        ("GET", "/tokens", control.tokens),
        ("POST", "/tokens", control.set_tokens),
        ("GET", "/behaviour", control.behaviour),
        ("POST", "/behaviour", control.set_behaviour),
        ("GET", "/calls", control.calls),
        ("DELETE", "/calls", control.reset_calls),
    ]
    return Mount("/_sandbox", routes=[Route(path, _guarded(run), methods=[method]) for method, path, run in table])


def _guarded(run: Endpoint) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            return await run(request)
        except ValidationError as error:
            return json_response({"error": "invalid body", "details": _details(error)}, 422)
        except RecordGoneError as error:
            return json_response({"error": f"no such record: {error.args[0]}"}, 404)
        except ValueError as error:
            return json_response({"error": str(error)}, 422)

    return endpoint


def _details(error: ValidationError) -> list[dict[str, str]]:
    return [{"at": ".".join(map(str, item["loc"])), "message": item["msg"]} for item in error.errors()]


async def _body(request: Request, model: type[Body], current: Body | None = None) -> Body:
    """The body as a model; over ``current``, whose other fields stay, if that is given."""
    given = decode(await request.body() or b"{}")
    if current is not None and isinstance(given, dict):
        return model.model_validate(current.model_dump() | cast("Data", given))
    return model.model_validate(given)


def _shown(model: Contract) -> Response:
    return json_response(model.model_dump())


class _Control:
    """The endpoints."""

    def __init__(self, sandbox: ZohoSandbox) -> None:
        self._sandbox = sandbox

    async def state(self, _request: Request) -> Response:
        return _shown(self._sandbox.state())

    async def records(self, _request: Request) -> Response:
        stores = self._sandbox.stores.items()
        parts = [
            b'"' + module.encode() + b'":[' + b",".join(store.detail(record) for record in store) + b"]"
            for module, store in stores
        ]
        deleted = {
            module: {identifier: times.stamp(moment) for identifier, moment in store.deleted.items()}
            for module, store in stores
        }
        return raw_response(b"{" + b",".join(parts) + b',"deleted":' + encode(deleted) + b"}")

    async def changes(self, request: Request) -> Response:
        done = self._sandbox.change(await _body(request, ChangeRequest))
        return json_response({"changes": [change.model_dump() for change in done]})

    async def webhooks(self, _request: Request) -> Response:
        return _shown(self._sandbox.webhooks.rules)

    async def set_webhooks(self, request: Request) -> Response:
        self._sandbox.webhooks.configure(await _body(request, WebhookRules, self._sandbox.webhooks.rules))
        return await self.webhooks(request)

    async def deliveries(self, request: Request) -> Response:
        query = request.query_params
        after, limit = int(query.get("after", 0)), int(query.get("limit", 1_000_000))
        wanted = {name: query[name] for name in ("state", "module", "record_id", "event") if name in query}

        def fits(delivery: Delivery) -> bool:
            return delivery.id > after and all(getattr(delivery, name) == value for name, value in wanted.items())

        found = [delivery.model_dump() for delivery in self._sandbox.webhooks.log if fits(delivery)]
        return json_response({"deliveries": found[:limit]})

    async def settle(self, request: Request) -> Response:
        asked = await _body(request, SettleRequest)
        pending = await self._sandbox.webhooks.settle(asked.timeout)
        return _shown(Settled(settled=pending == 0, pending=pending))

    async def faults(self, _request: Request) -> Response:
        return json_response({"faults": [rule.model_dump() for rule in self._sandbox.faults.rules]})

    async def add_faults(self, request: Request) -> Response:
        given = decode(await request.body())
        entries = cast("list[object]", given) if isinstance(given, list) else [given]
        self._sandbox.faults.add([FaultRule.model_validate(entry) for entry in entries])
        return await self.faults(request)

    async def clear_faults(self, request: Request) -> Response:
        self._sandbox.faults.clear()
        return await self.faults(request)

    async def limits(self, _request: Request) -> Response:
        return _shown(self._sandbox.budget.limits)

    async def set_limits(self, request: Request) -> Response:
        self._sandbox.budget.configure(await _body(request, Limits))
        return await self.limits(request)

    async def tokens(self, _request: Request) -> Response:
        return _shown(self._sandbox.tokens.rules)

    async def set_tokens(self, request: Request) -> Response:
        self._sandbox.tokens.configure(await _body(request, TokenRules, self._sandbox.tokens.rules))
        return await self.tokens(request)

    async def behaviour(self, _request: Request) -> Response:
        return _shown(self._sandbox.behaviour)

    async def set_behaviour(self, request: Request) -> Response:
        self._sandbox.configure_behaviour(await _body(request, Behaviour, self._sandbox.behaviour))
        return await self.behaviour(request)

    async def calls(self, _request: Request) -> Response:
        return _shown(self._sandbox.calls.report())

    async def reset_calls(self, request: Request) -> Response:
        self._sandbox.calls.reset()
        return await self.calls(request)
