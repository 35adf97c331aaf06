"""Lists over HTTP: pages, filters, order, shapes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2
import pytest

from app.sandbox.zoho.wire import Data, decode

Get = Callable[..., Awaitable[httpx2.Response]]
ITEMS = "/inventory/v1/items"
CONTACTS = "/books/v3/contacts"


async def _all(get: Get, path: str, key: str, **query: str | int) -> list[Data]:
    rows: list[Data] = []
    for page in range(1, 100):
        answer = decode((await get(path, page=page, **query)).content)
        rows += answer[key]
        if not answer["page_context"]["has_more_page"]:
            break
    return rows


class TestPages:
    """How a list is cut."""

    async def test_hold_every_record_once(self, get: Get) -> None:
        """Going through the pages gives each item exactly once."""
        ids = [row["item_id"] for row in await _all(get, ITEMS, "items", per_page=100)]
        assert len(ids) == len(set(ids)) == 450

    async def test_tell_their_context(self, get: Get) -> None:
        """The context names page, size, order and whether more follow."""
        context = (await get(ITEMS)).json()["page_context"]
        assert context == {
            "page": 1,
            "per_page": 200,
            "has_more_page": True,
            "report_name": "Items",
            "applied_filter": "Status.All",
            "custom_fields": [],
            "sort_column": "name",
            "sort_order": "A",
        }

    async def test_are_clamped_to_200(self, get: Get) -> None:
        """A larger per_page is not an error."""
        answer = (await get(ITEMS, per_page=1000)).json()
        assert (len(answer["items"]), answer["page_context"]["per_page"]) == (200, 200)

    async def test_reject_large_ones_when_switched(self, get: Get, http: httpx2.AsyncClient) -> None:
        """The open question about per_page above 200 has a switch."""
        await http.post("/_sandbox/behaviour", json={"reject_large_pages": True})
        assert (await get(ITEMS, per_page=201)).json()["code"] == 2

    async def test_end_exactly(self, get: Get) -> None:
        """A last page that is full says that nothing follows, and the one after it is empty."""
        assert (await get(ITEMS, per_page=150, page=3)).json()["page_context"]["has_more_page"] is False
        assert (await get(ITEMS, per_page=150, page=4)).json()["items"] == []

    @pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "²"])
    async def test_refuse_what_is_no_page(self, get: Get, page: str) -> None:
        """Code 2 names the parameter."""
        answer = await get(ITEMS, page=page)
        assert (answer.status_code, answer.json()) == (400, {"code": 2, "message": "Invalid value passed for page"})


class TestFilters:
    """Which filters are honoured, and which are silently ignored."""

    async def test_contact_type_tells_customers_from_vendors(self, get: Get) -> None:
        """Vendors are among the contacts unless filtered."""
        sizes = [len(await _all(get, CONTACTS, "contacts", **query)) for query in _TYPES]
        assert sizes == [63, 60, 3]

    async def test_status(self, get: Get) -> None:
        """Active and inactive make up all."""
        active = await _all(get, ITEMS, "items", filter_by="Status.Active")
        inactive = await _all(get, ITEMS, "items", filter_by="Status.Inactive")
        assert {row["status"] for row in active} == {"active"}
        assert inactive
        assert len(active) + len(inactive) == 450

    async def test_last_modified_time_on_inventory_items(self, get: Get) -> None:
        """Only items modified at that second or later are listed."""
        rows = await _all(get, ITEMS, "items", sort_column="last_modified_time")
        watermark = next(row["last_modified_time"] for row in rows[440:] if "last_modified_time" in row)
        found = await _all(get, ITEMS, "items", last_modified_time=watermark)
        assert 0 < len(found) <= 10
        assert all(row.get("last_modified_time", watermark) >= watermark for row in found)

    async def test_last_modified_time_can_exclude_its_second(self, get: Get, http: httpx2.AsyncClient) -> None:
        """Whether the filter is inclusive is an open question, so it has a switch."""
        rows = await _all(get, ITEMS, "items", sort_column="last_modified_time")
        newest = max(row.get("last_modified_time", "") for row in rows)
        assert len(await _all(get, ITEMS, "items", last_modified_time=newest)) == 1
        await http.post("/_sandbox/behaviour", json={"inclusive": False})
        assert await _all(get, ITEMS, "items", last_modified_time=newest) == []

    @pytest.mark.parametrize(("path", "key", "total"), [("/books/v3/items", "items", 450), (CONTACTS, "contacts", 63)])
    async def test_last_modified_time_is_ignored_elsewhere(self, get: Get, path: str, key: str, total: int) -> None:
        """An unsupported filter answers 200 with everything."""
        assert len(await _all(get, path, key, last_modified_time="2099-01-01T00:00:00+0300")) == total

    async def test_last_modified_time_with_a_bare_plus_is_refused(self, get: Get) -> None:
        """A plus that was not escaped arrives as a space."""
        assert (await get(ITEMS, last_modified_time="2025-01-01T00:00:00 0300")).json()["code"] == 2

    async def test_any_can_be_made_to_be_ignored(self, get: Get, http: httpx2.AsyncClient) -> None:
        """A client must not trust a filter without looking at the rows."""
        await http.post("/_sandbox/behaviour", json={"ignored_params": {"inventory/items": ["last_modified_time"]}})
        assert len(await _all(get, ITEMS, "items", last_modified_time="2099-01-01T00:00:00+0300")) == 450

    async def test_unknown_parameters_are_ignored(self, get: Get) -> None:
        """Nothing tells that a parameter is not known."""
        assert len((await get(ITEMS, modified_after="2099-01-01", wat="1")).json()["items"]) == 200


_TYPES: tuple[dict[str, str], ...] = ({}, {"contact_type": "customer"}, {"contact_type": "vendor"})


class TestOrder:
    """How rows are sorted."""

    async def test_descends_by_time(self, get: Get) -> None:
        """Newest first, which a client without a filter stops at its watermark."""
        rows = await _all(get, CONTACTS, "contacts", sort_column="last_modified_time", sort_order="D")
        times = [row["last_modified_time"] for row in rows if "last_modified_time" in row]
        assert times == sorted(times, reverse=True)
        assert len(times) > 50

    async def test_falls_back_to_the_name(self, get: Get) -> None:
        """Books items cannot be sorted by time: the column is ignored and the context says so."""
        context = (await get("/books/v3/items", sort_column="last_modified_time", sort_order="D")).json()[
            "page_context"
        ]
        assert (context["sort_column"], context["sort_order"]) == ("name", "A")


class TestShapes:
    """What rows have and details have not, and the other way round."""

    async def test_of_contacts(self, get: Get) -> None:
        """Rows name the primary person; details have persons and addresses."""
        row = (await get(CONTACTS)).json()["contacts"][0]
        detail = (await get(f"{CONTACTS}/{row['contact_id']}")).json()["contact"]
        only_detail = {"contact_persons", "billing_address", "shipping_address", "credit_limit"}
        assert not only_detail & set(row)
        assert only_detail <= set(detail) | {"credit_limit"}
        assert {"email", "mobile", "first_name"} <= set(row)
        assert not {"email", "mobile", "first_name"} & set(detail)

    async def test_of_items(self, get: Get) -> None:
        """Details have stock by location; rows have the flag of combo products."""
        row = next(row for row in (await get(ITEMS)).json()["items"] if row["product_type"] == "goods")
        detail = (await get(f"{ITEMS}/{row['item_id']}")).json()["item"]
        assert "locations" not in row
        assert [place["is_primary"] for place in detail["locations"]] == [True, False]
        assert "is_combo_product" in row
        assert "is_combo_product" not in detail

    async def test_of_item_details(self, get: Get) -> None:
        """Many items in one call; ids that are not known are left out."""
        ids = [row["item_id"] for row in (await get(ITEMS, per_page=3)).json()["items"]]
        found = (await get("/inventory/v1/itemdetails", item_ids=",".join([*ids, "999"]))).json()["items"]
        assert [item["item_id"] for item in found] == ids
