"""A stand-in for Zoho Books v3 and Zoho Inventory v1: real HTTP, real shapes, made-up data, faults on demand.

The company is invented: a trading house in Baghdad with IQD as base currency, Arabic and English names, and the
awkward values that live organisations hold. State is in memory and deterministic by seed.

API (what a client of Zoho sees; codes and shapes as observed or documented, in ``{"code", "message", ...}``):

- ``POST /oauth/v2/token`` (``refresh_token``, ``authorization_code``), ``POST /oauth/v2/token/revoke``
- ``GET /inventory/v1/items``, ``/items/{id}``, ``/itemdetails?item_ids=``; the same under ``/books/v3``
- ``GET /books/v3/contacts``, ``/contacts/{id}``; the same under ``/inventory/v1``
- ``GET /{books/v3,inventory/v1}/organizations``, ``/organizations/{id}``, ``/settings/currencies``

Control (plain JSON under ``/_sandbox/``; bodies are the models of ``contract``, unknown keys are refused with 422):

=========================  ====================================================================================
``GET state``              ``State``: sizes, credentials, what is switched on
``GET records``            ``{"items": [detail...], "contacts": [detail...], "deleted": {"items": {id: time}, ...}}``
``POST changes``           ``ChangeRequest`` -> ``{"changes": [Change...]}``: random ones, or exact edits
``GET|POST webhooks``      ``WebhookRules``; a POST names only what it changes
``GET deliveries``         ``?state=&module=&record_id=&after=&limit=`` -> ``{"deliveries": [Delivery...]}``
``POST settle``            ``{"timeout": 10}`` -> ``{"settled": true, "pending": 0}``
``GET|POST|DELETE faults`` ``FaultRule`` or a list of them -> ``{"faults": [FaultRule...]}``
``GET|POST limits``        ``Limits``; a POST replaces all and forgets what was counted
``GET|POST tokens``        ``TokenRules``; a POST names only what it changes; ``"expire": true`` ends live tokens
``GET|POST behaviour``     ``Behaviour``; a POST names only what it changes
``GET|DELETE calls``       ``Calls``: answers by path and status
=========================  ====================================================================================

``control.SandboxControl`` is the typed client of it.
"""

from __future__ import annotations

from app.sandbox.zoho.application import create_app
from app.sandbox.zoho.config import SandboxConfig
from app.sandbox.zoho.server import serve
from app.sandbox.zoho.state import ZohoSandbox

__all__ = ["SandboxConfig", "ZohoSandbox", "create_app", "serve"]
