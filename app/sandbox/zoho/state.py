"""The whole sandbox: records, tokens, limits, faults, webhooks, counters. One event loop, no locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.sandbox.zoho import times
from app.sandbox.zoho.chance import Chance, chance
from app.sandbox.zoho.contacts import ContactShape
from app.sandbox.zoho.contract import (
    Action,
    Behaviour,
    Change,
    ChangeRequest,
    Edit,
    Module,
    RecordCounts,
    SendSwitches,
    State,
    WebhookRules,
)
from app.sandbox.zoho.dispatcher import Dispatcher
from app.sandbox.zoho.drawing import Drawing
from app.sandbox.zoho.edits import random_fields
from app.sandbox.zoho.faults import FaultBook
from app.sandbox.zoho.gate import CallCounter
from app.sandbox.zoho.items import ItemShape
from app.sandbox.zoho.limits import Budget
from app.sandbox.zoho.messages import Message
from app.sandbox.zoho.records import Record, RecordGoneError, Store
from app.sandbox.zoho.seeding import Maker
from app.sandbox.zoho.tokens import TokenDesk

if TYPE_CHECKING:
    from app.sandbox.zoho.config import SandboxConfig
    from app.sandbox.zoho.contract import Event
    from app.sandbox.zoho.wire import Data

__all__ = ["ZohoSandbox"]

_EVENTS: dict[Action, Event] = {"create": "created", "update": "updated", "delete": "deleted", "resend": "updated"}


class ZohoSandbox:
    """State of one made-up organisation, filled by seed when it is made."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.behaviour = Behaviour()
        self.tokens = TokenDesk(config)
        self.budget = Budget()
        self.calls = CallCounter()
        self.faults = FaultBook(chance(config.seed, "faults"))
        rules = WebhookRules(url=config.webhook_url, secret=config.webhook_secret)
        self.webhooks = Dispatcher(rules, chance(config.seed, "webhooks"))
        self._changes = chance(config.seed, "changes")
        self._maker = Maker(config.seed)
        self.stores: dict[Module, Store] = {
            "items": Store(ItemShape(self.behaviour)),
            "contacts": Store(ContactShape()),
        }
        for record in self._maker.seeded_items(config.products):
            self.stores["items"].add(record)
        for record in self._maker.seeded_contacts(config.customers):
            self.stores["contacts"].add(record)

    def configure_behaviour(self, behaviour: Behaviour) -> None:
        """Put behaviour in force; encoded answers are made anew."""
        self.behaviour = behaviour
        self.stores["items"].shape = ItemShape(behaviour)
        self.stores["items"].forget_encoded()

    def change(self, request: ChangeRequest) -> list[Change]:
        """Make changes and announce them.

        Raises:
            RecordGoneError: an exact edit names a record there is none of; edits before it are done.
        """
        rng = self._changes if request.seed is None else chance(request.seed, "changes")
        done = [self._edit(edit, rng, edit.send or request.send) for edit in request.edits]
        return done + self._draw_changes(request, rng)

    def state(self) -> State:
        """The sandbox at a glance."""
        config = self.config
        return State(
            organization_id=config.organization_id,
            client_id=config.client_id,
            client_secret=config.client_secret,
            refresh_token=config.refresh_token,
            seed=config.seed,
            items=_counts(self.stores["items"]),
            contacts=_counts(self.stores["contacts"]),
            webhooks=self.webhooks.counts(),
            webhook_url=self.webhooks.rules.url,
            faults=len(self.faults.rules),
            calls=self.calls.total,
        )

    def _draw_changes(self, request: ChangeRequest, rng: Chance) -> list[Change]:
        drawing, done = Drawing(request, self.stores, rng), list[Change]()
        for _ in range(request.count):
            change = self._edit(drawing.draw(), rng, request.send)
            drawing.saw(change)
            done.append(change)
        return done

    def _edit(self, edit: Edit, rng: Chance, send: SendSwitches | None) -> Change:
        store = self.stores[edit.module]
        if edit.action == "create":
            record = self._created(edit)
        elif edit.id is None:
            raise RecordGoneError("(no id)")
        elif edit.action == "delete":
            record = store.delete(edit.id)
        else:
            record = store.get(edit.id)
        if edit.action == "update":
            record.edit(edit.fields or random_fields(edit.module, record.data, rng), touch=edit.touch)
        silent = not edit.webhook or (edit.action == "update" and not edit.touch)
        return Change(
            action=edit.action,
            module=edit.module,
            id=record.id,
            last_modified_time=times.stamp(record.modified),
            deliveries=[] if silent else self._announce(store, record, _EVENTS[edit.action], send),
        )

    def _created(self, edit: Edit) -> Record:
        record = self._maker.new_record(edit.module, edit.fields)
        self.stores[edit.module].add(record)
        return record

    def _announce(self, store: Store, record: Record, event: Event, send: SendSwitches | None) -> list[int]:
        rules, shape = self.webhooks.rules, store.shape
        kind = "items" if shape.module == "items" else f"{record.data['contact_type']}s"
        if not {"items": rules.items, "customers": rules.customers, "vendors": rules.vendors}.get(kind, False):
            return []
        payload: Data = {shape.id_field: record.id} if event == "deleted" else shape.detail(record)
        key = rules.contact_key if shape.module == "contacts" else shape.detail_key
        message = Message(shape.module, record.id, event, shape.id_field, shape.name_field, key, payload)
        return self.webhooks.announce(message, send)


def _counts(store: Store) -> RecordCounts:
    statuses = [record.data.get("status") for record in store]
    types = [record.data.get("contact_type") for record in store]
    return RecordCounts(
        total=len(store),
        active=statuses.count("active"),
        inactive=statuses.count("inactive"),
        deleted=len(store.deleted),
        customers=types.count("customer"),
        vendors=types.count("vendor"),
    )
