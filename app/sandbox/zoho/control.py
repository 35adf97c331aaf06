"""The typed client of the control API, for demos, tests and fault campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx2

from app.sandbox.zoho.contract import (
    Behaviour,
    Calls,
    Change,
    ChangeRequest,
    Contract,
    Delivery,
    Edit,
    FaultRule,
    Limits,
    Module,
    SendSwitches,
    Settled,
    State,
    TokenRules,
    WebhookRules,
)
from app.sandbox.zoho.wire import Data, decode, encode

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["ControlError", "Records", "SandboxControl"]

Model = TypeVar("Model", bound=Contract)


class ControlError(Exception):
    """The sandbox refused a control call."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Records:
    """All current records in detail, by id, and the deleted ids with their times. Numbers are exact: Decimal or int."""

    def __init__(self, answer: Data) -> None:
        self.items: dict[str, Data] = {item["item_id"]: item for item in answer["items"]}
        self.contacts: dict[str, Data] = {contact["contact_id"]: contact for contact in answer["contacts"]}
        self.deleted: dict[Module, dict[str, str]] = answer["deleted"]

    @property
    def customers(self) -> dict[str, Data]:
        """The contacts that are customers."""
        return {key: contact for key, contact in self.contacts.items() if contact["contact_type"] == "customer"}


class SandboxControl:
    """Speaks to a running sandbox. Use it as an async context manager, or call ``aclose``.

    Every method raises ControlError when the sandbox refuses, and httpx2.HTTPError when it cannot be reached.
    """

    def __init__(self, base_url: str, *, client: httpx2.AsyncClient | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = client or httpx2.AsyncClient(trust_env=False, timeout=60)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def state(self) -> State:
        """Sizes, credentials, what is switched on."""
        return await self._model(State, "GET", "state")

    async def records(self) -> Records:
        """All current records, for a checker."""
        return Records(await self._call("GET", "records"))

    async def change(self, request: ChangeRequest) -> list[Change]:
        """Exact edits, then random changes."""
        answer = await self._call("POST", "changes", request)
        return [Change.model_validate(entry) for entry in answer["changes"]]

    async def random(self, count: int, *, seed: int | None = None, send: SendSwitches | None = None) -> list[Change]:
        """``count`` random creates, updates and deletes of items and customers."""
        return await self.change(ChangeRequest(count=count, seed=seed, send=send))

    async def edit(self, edit: Edit) -> Change:
        """One exact edit."""
        return (await self.change(ChangeRequest(edits=[edit])))[0]

    async def create(self, module: Module, fields: Data | None = None, send: SendSwitches | None = None) -> Change:
        """A new record; ``fields`` overlay a made-up one."""
        return await self.edit(Edit(action="create", module=module, fields=fields or {}, send=send))

    async def update(
        self, module: Module, identifier: str, fields: Data | None = None, send: SendSwitches | None = None
    ) -> Change:
        """Edit a record; without ``fields`` a random edit."""
        return await self.edit(Edit(action="update", module=module, id=identifier, fields=fields or {}, send=send))

    async def delete(self, module: Module, identifier: str, send: SendSwitches | None = None) -> Change:
        """Delete a record."""
        return await self.edit(Edit(action="delete", module=module, id=identifier, send=send))

    async def resend(self, module: Module, identifier: str, send: SendSwitches | None = None) -> Change:
        """Send the webhook of a record's current state once more."""
        return await self.edit(Edit(action="resend", module=module, id=identifier, send=send))

    async def webhooks(self) -> WebhookRules:
        """The webhook rules in force."""
        return await self._model(WebhookRules, "GET", "webhooks")

    async def set_webhooks(self, rules: WebhookRules) -> WebhookRules:
        """Change the rules that are set in ``rules``; the others stay."""
        return await self._model(WebhookRules, "POST", "webhooks", rules)

    async def deliveries(self, **query: str | int) -> list[Delivery]:
        """The log; ``state``, ``module``, ``record_id``, ``event``, ``after`` (an id) and ``limit`` narrow it."""
        answer = await self._call("GET", "deliveries", query=query)
        return [Delivery.model_validate(entry) for entry in answer["deliveries"]]

    async def settle(self, seconds: float = 10) -> Settled:
        """Wait until no delivery is pending, so long at most."""
        answer = await self._client.post(
            f"{self.base_url}/_sandbox/settle", content=encode({"timeout": seconds}), timeout=seconds + 10
        )
        return Settled.model_validate(_checked(answer))

    async def faults(self) -> list[FaultRule]:
        """The faults, with how often each has fired."""
        return _faults(await self._call("GET", "faults"))

    async def add_faults(self, *rules: FaultRule) -> list[FaultRule]:
        """Add faults behind those there are."""
        return _faults(await self._call("POST", "faults", list(rules)))

    async def clear_faults(self) -> None:
        """No more faults."""
        await self._call("DELETE", "faults")

    async def limits(self) -> Limits:
        """The limits in force."""
        return await self._model(Limits, "GET", "limits")

    async def set_limits(self, limits: Limits) -> Limits:
        """Replace all limits and forget what was counted."""
        return await self._model(Limits, "POST", "limits", limits)

    async def tokens(self) -> TokenRules:
        """The rules of the token endpoint."""
        return await self._model(TokenRules, "GET", "tokens")

    async def set_tokens(self, rules: TokenRules) -> TokenRules:
        """Change the rules that are set in ``rules``; the others stay."""
        return await self._model(TokenRules, "POST", "tokens", rules)

    async def behaviour(self) -> Behaviour:
        """The behaviour in force."""
        return await self._model(Behaviour, "GET", "behaviour")

    async def set_behaviour(self, behaviour: Behaviour) -> Behaviour:
        """Change what is set in ``behaviour``; the rest stays."""
        return await self._model(Behaviour, "POST", "behaviour", behaviour)

    async def calls(self) -> Calls:
        """Answers by path and status."""
        return await self._model(Calls, "GET", "calls")

    async def reset_calls(self) -> None:
        """Count calls from nothing."""
        await self._call("DELETE", "calls")

    async def _model(self, model: type[Model], method: str, call: str, body: Contract | None = None) -> Model:
        return model.model_validate(await self._call(method, call, body))

    async def _call(
        self,
        method: str,
        call: str,
        body: Contract | list[FaultRule] | None = None,
        query: dict[str, str | int] | None = None,
    ) -> Any:
        answer = await self._client.request(
            method, f"{self.base_url}/_sandbox/{call}", content=_encoded(body), params=query
        )
        return _checked(answer)


def _encoded(body: Contract | list[FaultRule] | None) -> bytes | None:
    if body is None:
        return None
    if isinstance(body, list):
        return encode([rule.model_dump(exclude_unset=True) for rule in body])
    return encode(body.model_dump(exclude_unset=True))


def _checked(answer: httpx2.Response) -> Any:
    if not answer.is_success:
        raise ControlError(answer.status_code, answer.text)
    return decode(answer.content)


def _faults(answer: Data) -> list[FaultRule]:
    return [FaultRule.model_validate(entry) for entry in answer["faults"]]
