"""The API routes: authorisation, organisation, then lists and details of items and contacts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.zoho.answers import ZohoError, error_response, invalid_value, json_response, raw_response, refusal
from app.sandbox.zoho.contacts import CURRENCIES
from app.sandbox.zoho.listing import Page, Product, listing_of
from app.sandbox.zoho.records import RecordGoneError
from app.sandbox.zoho.wire import encode, join_rows

if TYPE_CHECKING:
    from starlette.requests import Request

    from app.sandbox.zoho.contract import Module
    from app.sandbox.zoho.state import ZohoSandbox
    from app.sandbox.zoho.wire import Data

__all__ = ["api_routes"]

Handler = Callable[["Request"], Response]
Endpoint = Callable[["Request"], Awaitable[Response]]

_ROOTS: Final[dict[Product, str]] = {"books": "/books/v3", "inventory": "/inventory/v1"}
_SCHEME: Final = "Zoho-oauthtoken "
_MOST_ITEM_IDS: Final = 100
_SCOPE_NAMES: Final[dict[Product, str]] = {"books": "ZohoBooks", "inventory": "ZohoInventory"}


def api_routes(sandbox: ZohoSandbox) -> list[Route]:
    """All routes of both products."""
    return [route for product in _ROOTS for route in _ProductApi(sandbox, product).routes()]


class _ProductApi:
    """The routes of one product; both show the same records of the same organisation."""

    def __init__(self, sandbox: ZohoSandbox, product: Product) -> None:
        self._sandbox = sandbox
        self._product: Product = product

    def routes(self) -> list[Route]:
        items_scope = "items" if self._product == "inventory" else "settings"
        return [
            self._route("/items", items_scope, self._list("items")),
            self._route("/items/{id}", items_scope, self._detail("items")),
            self._route("/itemdetails", items_scope, self._item_details),
            self._route("/contacts", "contacts", self._list("contacts")),
            self._route("/contacts/{id}", "contacts", self._detail("contacts")),
            self._route("/settings/currencies", "settings", self._currencies),
            self._route("/organizations", "settings", self._organizations, of_organization=False),
            self._route("/organizations/{id}", "settings", self._organization, of_organization=False),
        ]

    def _route(self, path: str, scope: str, handler: Handler, *, of_organization: bool = True) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                self._authorise(request, scope)
                if of_organization:
                    self._check_organization(request)
                return handler(request)
            except ZohoError as error:
                return error_response(error)

        return Route(_ROOTS[self._product] + path, endpoint, methods=["GET"])

    def _authorise(self, request: Request, scope: str) -> None:
        header = request.headers.get("authorization", "")
        if not header.startswith(_SCHEME):
            raise refusal(57)
        if not self._sandbox.tokens.is_live(header.removeprefix(_SCHEME).strip()):
            raise refusal(14)
        name = _SCOPE_NAMES[self._product]
        opening = {f"{name}.fullaccess.all", f"{name}.{scope}.READ", f"{name}.{scope}.ALL"}
        if opening.isdisjoint(part.strip() for part in self._sandbox.config.scope.split(",")):
            raise refusal(57)

    def _check_organization(self, request: Request) -> None:
        asked = request.query_params.get("organization_id", "")
        if not asked:
            raise invalid_value("organization_id")
        if asked != self._sandbox.config.organization_id:
            raise refusal(6041, name=asked)

    def _list(self, module: Module) -> Handler:
        listing = listing_of(self._product, module)

        def handler(request: Request) -> Response:
            store = self._sandbox.stores[module]
            page = Page.cut(listing, store, request.query_params, self._sandbox.behaviour)
            rows = [store.row(record) for record in page.records]
            return raw_response(join_rows(module, rows, page_context=page.context))

        return handler

    def _detail(self, module: Module) -> Handler:
        def handler(request: Request) -> Response:
            store = self._sandbox.stores[module]
            key = store.shape.detail_key
            try:
                detail = store.detail(store.get(request.path_params["id"]))
            except RecordGoneError:
                raise refusal(1002, name=key.capitalize()) from None
            return raw_response(b'{"code":0,"message":"success","' + key.encode() + b'":' + detail + b"}")

        return handler

    def _item_details(self, request: Request) -> Response:
        wanted = [part.strip() for part in request.query_params.get("item_ids", "").split(",") if part.strip()]
        if not 0 < len(wanted) <= _MOST_ITEM_IDS:
            raise invalid_value("item_ids")
        store = self._sandbox.stores["items"]
        found = [store.records[identifier] for identifier in dict.fromkeys(wanted) if identifier in store.records]
        return raw_response(join_rows("items", [store.detail(record) for record in found]))

    def _currencies(self, _request: Request) -> Response:
        rows = [encode({"exchange_rate": 1, "effective_date": "", **entry}) for entry in CURRENCIES.values()]
        return raw_response(join_rows("currencies", rows))

    def _organizations(self, _request: Request) -> Response:
        row = {**self._company(), "plan_name": "PREMIUM", "plan_period": "Monthly"}
        return raw_response(join_rows("organizations", [encode(row)]))

    def _organization(self, request: Request) -> Response:
        asked: str = request.path_params["id"]
        if asked != self._sandbox.config.organization_id:
            raise refusal(6041, name=asked)
        return json_response({"code": 0, "message": "success", "organization": self._company()})

    def _company(self) -> Data:
        base = CURRENCIES["IQD"]
        return {
            "organization_id": self._sandbox.config.organization_id,
            "name": "Nahrain Trading Co. شركة النهرين التجارية",
            "contact_name": "Sandbox Owner",
            "email": "owner@example.com",
            "is_default_org": True,
            "language_code": "en",
            "fiscal_year_start_month": 0,
            "account_created_date": "2022-01-02",
            "time_zone": "Asia/Baghdad",
            "is_org_active": True,
            "currency_id": base["currency_id"],
            "currency_code": base["currency_code"],
            "currency_symbol": base["currency_symbol"],
            "currency_format": base["currency_format"],
            "price_precision": base["price_precision"],
        }
