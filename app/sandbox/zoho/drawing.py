"""Draws random edits over the records as they are, each draw in constant time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.sandbox.zoho.contract import Action, ChangeRequest, Edit, Module

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.sandbox.zoho.chance import Chance
    from app.sandbox.zoho.contract import Change
    from app.sandbox.zoho.records import Store

__all__ = ["Drawing"]

_ACTIONS: tuple[Action, ...] = ("create", "update", "delete")


class Drawing:
    """One request's draws. Tell it of every change, so that new records are drawn, too. Vendors are not."""

    def __init__(self, request: ChangeRequest, stores: Mapping[Module, Store], rng: Chance) -> None:
        self._request = request
        self._rng = rng
        self._ids: dict[Module, list[str]] = {
            module: [record.id for record in stores[module] if record.data.get("contact_type") != "vendor"]
            for module in sorted(set(request.modules))
        }

    def draw(self) -> Edit:
        """The next edit; a module that has run empty gets a new record."""
        module = self._rng.choice(self._request.modules)
        action = self._rng.choices(_ACTIONS, self._weights())[0]
        ids, webhook = self._ids[module], self._request.webhook
        if action == "create" or not ids:
            return Edit(action="create", module=module, webhook=webhook)
        place = self._rng.randrange(len(ids))
        chosen = ids[place]
        if action == "delete":
            ids[place] = ids[-1]
            ids.pop()
        return Edit(action=action, module=module, id=chosen, webhook=webhook)

    def saw(self, change: Change) -> None:
        """A drawn edit was done."""
        if change.action == "create":
            self._ids[change.module].append(change.id)

    def _weights(self) -> tuple[float, float, float]:
        request = self._request
        return (request.create, request.update, request.delete)
