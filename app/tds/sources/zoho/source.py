"""Zoho Books and Zoho Inventory as a source: items and customers, polled or told by webhook."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

import httpx2
import structlog

from app.core.clock import Clock, utc_now
from app.core.config import ZohoSettings
from app.tds.core.errors import SourceDisabledError, SourceError
from app.tds.core.ports import Change, Delivery, Page, RawRecord, StoredEvent
from app.tds.sources.zoho import polling
from app.tds.sources.zoho.auth import TokenStore
from app.tds.sources.zoho.client import ZohoClient
from app.tds.sources.zoho.mapping import map_event
from app.tds.sources.zoho.webhooks import DOCUMENTED, record_of, verify
from app.tds.types import EntityType

__all__ = ["ZohoSource"]

_log = structlog.stdlib.get_logger(__name__)
_POLLED: Final = {EntityType.PRODUCT: polling.items, EntityType.CUSTOMER: polling.contacts}


class ZohoSource:
    """One organisation at Zoho; see `app.tds.core.ports.Source`. Nothing is opened before the first request."""

    def __init__(
        self,
        settings: ZohoSettings,
        *,
        name: str = "zoho",
        http: httpx2.AsyncClient | None = None,
        clock: Clock = utc_now,
        tokens: TokenStore | None = None,
    ) -> None:
        self._settings = settings
        self._name = name
        self._client = ZohoClient(settings, clock=clock, http=http, tokens=tokens)

    @property
    def name(self) -> str:
        """The connection's name."""
        return self._name

    @property
    def entity_types(self) -> frozenset[EntityType]:
        """What can be polled."""
        return frozenset(_POLLED)

    def receive(self, delivery: Delivery) -> RawRecord:
        """Check the signature and read the hints of the query; the body is neither parsed nor changed.

        Raises:
            SourceDisabledError: no webhook secret is configured.
            SignatureError: unsigned or wrongly signed.
        """
        secret = self._settings.webhook_secret
        if secret is None or not secret.get_secret_value():
            raise SourceDisabledError
        variant = verify(secret.get_secret_value(), delivery)
        if variant is not DOCUMENTED:
            _log.info("zoho_webhook_signed_otherwise", source=self._name, variant=variant.name)
        return record_of(delivery, variant)

    def map(self, event: StoredEvent) -> Change:
        """Make a change of a stored event.

        Raises:
            MappingError: every reason, named by the keys of the body.
        """
        return map_event(event)

    def pages(
        self, entity_type: EntityType, *, since: datetime | None, checkpoint: Mapping[str, Any] | None
    ) -> AsyncIterator[Page]:
        """Read an entity: all of it, or what changed since five minutes before ``since``; after ``checkpoint``.

        Raises:
            SourceError: at once where the entity cannot be polled; while reading, as `ZohoClient.get` tells.
        """
        reader = _POLLED.get(entity_type)
        if reader is None:
            raise SourceError(f"Zoho is not polled for {entity_type.value}.")
        return reader(self._client, since=since, checkpoint=checkpoint)

    async def fetch(self, entity_type: EntityType, source_entity_id: str) -> RawRecord | None:
        """One item or contact, whole; None if there is none of that id.

        Raises:
            SourceError: as `ZohoClient.get` tells.
        """
        return await polling.one(self._client, entity_type, source_entity_id)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()
