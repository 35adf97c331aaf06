"""Makes up records: the same seed gives the same organisation, whatever the sizes of the other module."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from app.sandbox.zoho import times
from app.sandbox.zoho.chance import Chance, chance
from app.sandbox.zoho.contacts import make_contact
from app.sandbox.zoho.items import make_item, make_service
from app.sandbox.zoho.quirks import CONTACT_QUIRKS, ITEM_QUIRKS
from app.sandbox.zoho.records import Draft, Ids, Record
from app.sandbox.zoho.times import ORG_ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.sandbox.zoho.contract import Module
    from app.sandbox.zoho.wire import Data

__all__ = ["Maker", "vendors_beside"]

_OPENED: Final = datetime(2022, 1, 2, 8, tzinfo=ORG_ZONE)
_SEEDED_DAYS: Final = 1_000
_LATER_QUIRKS: Final = 0.12
_SERVICES: Final = 0.02
_VENDOR_SHARE: Final = 20


def vendors_beside(customers: int) -> int:
    """How many vendors come on top of that many customers: 5 %, at least one."""
    return -(-customers // _VENDOR_SHARE)


class Maker:
    """Makes items and contacts one after the other; what is created later goes on with the same numbers and ids."""

    def __init__(self, seed: int) -> None:
        self._item_ids, self._contact_ids = Ids(seed, 0), Ids(seed, 1)
        self._items = chance(seed, "items")
        self._contacts = chance(seed, "contacts")
        self._item_number = self._contact_number = 0

    def seeded_items(self, total: int) -> Iterator[Record]:
        """``total`` items of the past."""
        for _ in range(total):
            draft = self.item()
            yield self._record(self._item_ids, draft, *self._past(self._items))

    def seeded_contacts(self, customers: int) -> Iterator[Record]:
        """That many customers, and the vendors beside them."""
        for contact_type, total in (("customer", customers), ("vendor", vendors_beside(customers))):
            for _ in range(total):
                draft = self.contact(contact_type)
                yield self._record(self._contact_ids, draft, *self._past(self._contacts))

    def item(self) -> Draft:
        """The next item."""
        number, rng = self._item_number, self._items
        self._item_number += 1
        if number < len(ITEM_QUIRKS):
            draft = make_item(rng, number)
            ITEM_QUIRKS[number](draft, number)
        elif rng.random() < _SERVICES:
            draft = make_service(rng, number)
        else:
            draft = make_item(rng, number)
            if rng.random() < _LATER_QUIRKS:
                rng.choice(ITEM_QUIRKS)(draft, number)
        return draft

    def contact(self, contact_type: str = "customer") -> Draft:
        """The next contact."""
        number, rng = self._contact_number, self._contacts
        self._contact_number += 1
        draft = make_contact(rng, number, contact_type, self._contact_ids.next())
        if number < len(CONTACT_QUIRKS):
            CONTACT_QUIRKS[number](draft, number)
        elif rng.random() < _LATER_QUIRKS:
            rng.choice(CONTACT_QUIRKS)(draft, number)
        return draft

    def new_record(self, module: Module, fields: Data) -> Record:
        """A record made up now, ``fields`` laid over it."""
        items = module == "items"
        draft = self.item() if items else self.contact()
        draft.data.update(fields)
        moment = times.now()
        return self._record(self._item_ids if items else self._contact_ids, draft, moment, moment)

    @staticmethod
    def _record(ids: Ids, draft: Draft, created: datetime, modified: datetime) -> Record:
        return Record(ids.next(), draft.data, created, modified, timed=draft.timed)

    def _past(self, rng: Chance) -> tuple[datetime, datetime]:
        created = _OPENED + timedelta(seconds=rng.randrange(_SEEDED_DAYS * 86_400))
        return created, created + timedelta(seconds=rng.randrange(300 * 86_400))
