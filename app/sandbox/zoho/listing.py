"""Lists: filter, sort, cut a page. What a resource does not know is silently ignored, as Zoho does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from app.sandbox.zoho import times
from app.sandbox.zoho.answers import invalid_value
from app.sandbox.zoho.edits import number_of
from app.sandbox.zoho.records import Record, Store
from app.sandbox.zoho.wire import Data

if TYPE_CHECKING:
    from app.sandbox.zoho.contract import Behaviour

__all__ = ["Listing", "Page", "Product", "listing_of"]

Product = Literal["books", "inventory"]
Keep = Callable[[Record], bool]

MAX_PER_PAGE: Final = 200
_NUMBERS: Final = frozenset({"rate", "outstanding_receivable_amount"})
_STATUSES: Final = {"Status.Active": "active", "Status.Inactive": "inactive"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What one list call of a product understands."""

    name: str
    report: str
    sort_columns: tuple[str, ...]
    filters: tuple[str, ...]


_LISTINGS: Final = {
    "books/items": Listing("books/items", "Items", ("name", "rate", "tax_name"), ("filter_by",)),
    "inventory/items": Listing(
        "inventory/items",
        "Items",
        ("name", "sku", "rate", "tax_name", "created_time", "last_modified_time"),
        ("filter_by", "status", "sku", "last_modified_time"),
    ),
    "books/contacts": Listing(
        "books/contacts",
        "Contacts",
        ("contact_name", "email", "outstanding_receivable_amount", "created_time", "last_modified_time"),
        ("filter_by", "contact_type"),
    ),
    "inventory/contacts": Listing("inventory/contacts", "Contacts", ("contact_name",), ("filter_by", "contact_type")),
}


def listing_of(product: Product, resource: str) -> Listing:
    """The listing of ``items`` or ``contacts`` in a product."""
    return _LISTINGS[f"{product}/{resource}"]


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one page and its page_context."""

    records: list[Record]
    context: Data

    @classmethod
    def cut(cls, listing: Listing, store: Store, query: Mapping[str, str], behaviour: Behaviour) -> Page:
        """Answer a query over the records as they are now.

        Raises:
            ZohoError: a known parameter cannot be read.
        """
        ignored = behaviour.ignored_params.get(listing.name, [])
        asked = {name: value for name, value in query.items() if name not in ignored}
        page, per_page = _positive(asked, "page", 1), _per_page(asked, behaviour)
        used = {name: asked[name] for name in listing.filters if asked.get(name)}
        found = [record for record in store if all(keep(record) for keep in _keeps(used, behaviour))]
        column, order = _sort(listing, store, asked)
        found.sort(key=_sort_key(column), reverse=order == "D")
        start = (page - 1) * per_page
        context = _context(listing, used, page=page, per_page=per_page, column=column, order=order)
        context["has_more_page"] = start + per_page < len(found)
        return cls(found[start : start + per_page], context)


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 10**9:
        raise invalid_value(name)
    return int(text)


def _per_page(query: Mapping[str, str], behaviour: Behaviour) -> int:
    asked = _positive(query, "per_page", MAX_PER_PAGE)
    if asked > MAX_PER_PAGE and behaviour.reject_large_pages:
        raise invalid_value("per_page")
    return min(asked, MAX_PER_PAGE)


def _keeps(used: Mapping[str, str], behaviour: Behaviour) -> list[Keep]:
    keeps: list[Keep] = []
    for name, value in used.items():
        match name:
            case "filter_by":
                if status := _STATUSES.get(value):
                    keeps.append(_field_is("status", status))
            case "last_modified_time":
                keeps.append(_modified_since(value, inclusive=behaviour.inclusive))
            case _:
                keeps.append(_field_is(name, value))
    return keeps


def _field_is(name: str, value: str) -> Keep:
    return lambda record: record.data.get(name) == value


def _modified_since(text: str, *, inclusive: bool) -> Keep:
    try:
        moment = times.parse(text)
    except ValueError:
        raise invalid_value("last_modified_time") from None
    if inclusive:
        return lambda record: record.modified >= moment
    return lambda record: record.modified > moment


def _sort(listing: Listing, store: Store, query: Mapping[str, str]) -> tuple[str, str]:
    column = query.get("sort_column", "")
    known = column in listing.sort_columns
    order = "D" if query.get("sort_order") == "D" else "A"
    return (column, order) if known else (store.shape.name_field, order if not column else "A")


def _sort_key(column: str) -> Callable[[Record], Any]:
    if column == "last_modified_time":
        return lambda record: (record.modified, record.id)
    if column == "created_time":
        return lambda record: (record.created, record.id)
    if column in _NUMBERS:
        return lambda record: (number_of(record.data.get(column)), record.id)
    if column == "email":
        return lambda record: (_primary_email(record), record.id)
    return lambda record: (str(record.data.get(column) or "").casefold(), record.id)


def _primary_email(record: Record) -> str:
    persons: list[Data] = record.data.get("contact_persons") or []
    return next((str(person.get("email", "")) for person in persons if person.get("is_primary_contact")), "")


def _context(listing: Listing, used: Mapping[str, str], *, page: int, per_page: int, column: str, order: str) -> Data:
    context: Data = {
        "page": page,
        "per_page": per_page,
        "has_more_page": False,
        "report_name": listing.report,
        "applied_filter": used.get("filter_by", "Status.All"),
    }
    if listing.report == "Items":
        context["custom_fields"] = []
    criteria = [
        {"column_name": name, "search_text": value, "comparator": "equal"}
        for name, value in used.items()
        if name != "filter_by"
    ]
    if criteria:
        context["search_criteria"] = criteria
    return {**context, "sort_column": column, "sort_order": order}
