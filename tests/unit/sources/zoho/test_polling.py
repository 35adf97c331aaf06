"""Reading lists page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.tds.core.errors import SourceError, SourceThrottledError, SourceUnavailableError
from app.tds.core.ports import Page
from app.tds.sources.zoho import ZohoSource
from app.tds.types import EntityType
from tests.unit.sources.zoho.peer import ANSWERED, Peer, StillClock, answer, settings

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
Rows = list[dict[str, Any]]


def at(minutes: float) -> str:
    """A time of Zoho's, so many minutes after noon."""
    return (NOON + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S%z")


def item(number: int, minutes: float | None = 0) -> dict[str, Any]:
    """A list row of Inventory."""
    return {
        "item_id": f"{number}",
        "name": f"Item {number}",
        **({} if minutes is None else {"last_modified_time": at(minutes)}),
    }


def contact(number: int, minutes: float = 0, **more: Any) -> dict[str, Any]:
    """A list row of Books."""
    return {"contact_id": f"{number}", "contact_type": "customer", "last_modified_time": at(minutes), **more}


def sheet(key: str, rows: Rows, *, more: bool | None = False, **context: Any) -> httpx2.Response:
    """A page of a list; ``more`` None leaves its context out."""
    where = {} if more is None else {"page_context": {"has_more_page": more, **context}}
    return answer({**ANSWERED, key: rows, **where})


def books(*sheets: httpx2.Response, gone: tuple[str, ...] = ()) -> Callable[[httpx2.Request], httpx2.Response]:
    """Books: pages of contacts, and the detail of every contact that is not gone."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        name = request.url.path.rpartition("/")[2]
        if name == "contacts":
            found = sheets[int(request.url.params["page"]) - 1]
            return httpx2.Response(200, content=found.content)
        if name in gone:
            return answer({"code": 1002, "message": "Contact does not exist."}, 404)
        return answer(b'{"code":0,"contact":{"contact_id" : "%s"}}' % name.encode())

    return handle


class Reader:
    """A source at a scripted peer, read to its end."""

    def __init__(self, peer: Peer, clock: StillClock) -> None:
        self.source = ZohoSource(settings(), http=peer.client(), clock=clock)

    async def __call__(
        self,
        entity: EntityType = EntityType.PRODUCT,
        since: datetime | None = None,
        checkpoint: Mapping[str, Any] | None = None,
    ) -> list[Page]:
        """All pages; `pages` has those that came before an error."""
        self.pages: list[Page] = []
        async for page in self.source.pages(entity, since=since, checkpoint=checkpoint):
            self.pages.append(page)
        return self.pages


@pytest.fixture
def read(peer: Peer, clock: StillClock) -> Reader:
    """Reads all pages of an entity."""
    return Reader(peer, clock)


def ids(pages: list[Page]) -> list[list[str | None]]:
    """The ids of every page's records."""
    return [[record.source_entity_id for record in page.records] for page in pages]


class TestItems:
    """Items, from Inventory."""

    async def test_reads_all_in_order_of_age(self, peer: Peer, read: Reader) -> None:
        """A full read asks for everything, oldest first, and follows the pages."""
        peer.api = [sheet("items", [item(1), item(2, 9)], more=True), sheet("items", [item(3, 5)])]
        pages = await read()
        assert ids(pages) == [["1", "2"], ["3"]]
        assert [page.last for page in pages] == [False, True]
        assert [page.watermark for page in pages] == [NOON + timedelta(minutes=9)] * 2
        assert [record.entity_type for record in pages[0].records] == ["product", "product"]
        assert peer.queries[0] == {
            "organization_id": "748812345",
            "page": "1",
            "per_page": "200",
            "filter_by": "Status.All",
            "sort_column": "created_time",
            "sort_order": "A",
        }

    async def test_keeps_the_bytes_of_a_row(self, peer: Peer, read: Reader) -> None:
        """What is stored is what Zoho wrote, to the last digit."""
        row = '{ "item_id": 2646610000900000001, "rate":360.00 , "name":"\u0643" }'.encode()
        peer.api = [answer(b'{"code":0,"items":[' + row + b'],"page_context":{"has_more_page":false}}')]
        ((record,),) = [page.records for page in await read()]
        assert record.body == row
        assert record.source_entity_id == "2646610000900000001"

    async def test_asks_for_an_overlap(self, peer: Peer, read: Reader) -> None:
        """An incremental read begins five minutes before what is known, in Zoho's way of writing a time."""
        peer.api = [sheet("items", [])]
        await read(since=NOON)
        assert peer.queries[0]["last_modified_time"] == "2026-01-10T11:55:00+0000"
        assert (peer.queries[0]["sort_column"], peer.queries[0]["sort_order"]) == ("last_modified_time", "A")

    async def test_does_not_believe_the_filter(self, peer: Peer, read: Reader) -> None:
        """Where the filter is ignored, older rows are left out here; a row without a time is kept."""
        peer.api = [
            sheet("items", [item(1, -90), item(2, -5), item(3, -5.1)], more=True),
            sheet("items", [item(4, -80)], more=True),
            sheet("items", [item(5, None), item(6, 3)]),
        ]
        assert ids(await read(since=NOON)) == [["2"], [], ["5", "6"]]

    async def test_goes_on_from_a_checkpoint(self, peer: Peer, read: Reader) -> None:
        """A checkpoint survives JSON, and brings the newest time along."""
        peer.api = [sheet("items", [item(1, 9)], more=True), sheet("items", [item(2)])]
        first, second = await read()
        peer.api, peer.api_requests[:] = [sheet("items", [item(2)])], []
        (again,) = await read(checkpoint=json.loads(json.dumps(first.checkpoint)))
        assert peer.queries[0]["page"] == "2"
        assert again == second
        assert again.watermark == NOON + timedelta(minutes=9)

    @pytest.mark.parametrize(("rows", "calls"), [(199, 1), (200, 2)])
    async def test_goes_by_the_length_without_a_context(self, peer: Peer, read: Reader, rows: int, calls: int) -> None:
        """A full page without a context may not be the last; an empty one always is."""
        peer.api = [sheet("items", [item(n) for n in range(rows)], more=None), sheet("items", [], more=True)]
        pages = await read()
        assert (len(pages), pages[-1].last) == (calls, True)

    async def test_refuses_a_list_that_does_not_page(self, peer: Peer, read: Reader) -> None:
        """The same page twice is no end: what was not seen would pass for deleted."""
        peer.api = [sheet("items", [item(1)], more=True)]
        with pytest.raises(SourceUnavailableError, match="does not page"):
            await read()

    async def test_refuses_a_list_that_does_not_end(self, peer: Peer, read: Reader) -> None:
        """Ten thousand pages are two million rows; more is no list."""
        numbers = iter(range(1_000_000))
        peer.api = [lambda _: sheet("items", [item(next(numbers))], more=True)]
        with pytest.raises(SourceUnavailableError, match="does not end"):
            await read(checkpoint={"page": 9_998})
        assert len(peer.api_requests) == 3

    @pytest.mark.parametrize("row", ["{}", '{"item_id": 2.5e18}', "[1]", '"x"', "null"])
    async def test_hands_on_rows_it_does_not_understand(self, peer: Peer, read: Reader, row: str) -> None:
        """A strange row is for the mapping to refuse, and for a person to see."""
        peer.api = [answer(b'{"code":0,"items":[%s]}' % row.encode())]
        ((record,),) = [page.records for page in await read()]
        assert (record.body, record.source_entity_id) == (row.encode(), None)


class TestContacts:
    """Customers, from Books."""

    async def test_reads_every_customer_whole(self, peer: Peer, read: Reader) -> None:
        """Each row's detail, in the row's order, as its bytes; vendors are left out."""
        peer.api = [
            books(sheet("contacts", [contact(3, 1), contact(1), contact(4, contact_type="vendor"), contact(2)]))
        ]
        (page,) = await read(EntityType.CUSTOMER)
        assert [record.body for record in page.records] == [b'{"contact_id" : "%d"}' % n for n in (3, 1, 2)]
        assert ids([page]) == [["3", "1", "2"]]
        assert {record.entity_type for record in page.records} == {"customer"}
        assert (page.last, page.watermark) == (True, NOON + timedelta(minutes=1))
        assert peer.queries[0]["contact_type"] == "customer"

    async def test_skips_who_has_vanished(self, peer: Peer, read: Reader) -> None:
        """A contact deleted between list and detail is not there to be read."""
        peer.api = [books(sheet("contacts", [contact(1), contact(2), contact(3)]), gone=("2",))]
        assert ids(await read(EntityType.CUSTOMER)) == [["1", "3"]]

    async def test_stops_where_it_knows_the_rest(self, peer: Peer, read: Reader) -> None:
        """Newest first: the first row older than the overlap is the end."""
        peer.api = [
            books(
                sheet("contacts", [contact(1, 9), contact(2, 3)], more=True, sort_column="last_modified_time"),
                sheet("contacts", [contact(3, -4), contact(4, -6)], more=True),
            )
        ]
        pages = await read(EntityType.CUSTOMER, since=NOON)
        assert ids(pages) == [["1", "2"], ["3"]]
        assert pages[-1].last
        assert (peer.queries[0]["sort_column"], peer.queries[0]["sort_order"]) == ("last_modified_time", "D")
        assert "last_modified_time" not in peer.queries[0]

    @pytest.mark.parametrize(
        "first",
        [
            sheet("contacts", [contact(1, -90), contact(2, 3), contact(3, -80)], more=True),
            sheet("contacts", [contact(2, 3), contact(1, -90)], more=True, sort_column="contact_name"),
        ],
    )
    async def test_does_not_believe_the_order(self, peer: Peer, read: Reader, first: httpx2.Response) -> None:
        """Where the order is ignored, by its rows or by Zoho's word, all pages are read."""
        peer.api = [books(first, sheet("contacts", [contact(4, -70)], more=True), sheet("contacts", [contact(5, 1)]))]
        assert ids(await read(EntityType.CUSTOMER, since=NOON)) == [["2"], [], ["5"]]

    async def test_remembers_a_broken_order(self, peer: Peer, read: Reader) -> None:
        """A resumed poll knows that the order had not held before."""
        pages = [
            sheet("contacts", [contact(1, -90), contact(2, 3)], more=True),
            sheet("contacts", [contact(3, -91)], more=True),
            sheet("contacts", [contact(4, 2)]),
        ]
        peer.api = [books(*pages)]
        first = (await read(EntityType.CUSTOMER, since=NOON))[0]
        checkpoint = json.loads(json.dumps(first.checkpoint))
        assert ids(await read(EntityType.CUSTOMER, since=NOON, checkpoint=checkpoint)) == [[], ["4"]]

    async def test_keeps_what_was_read_before_a_limit(self, peer: Peer, read: Reader) -> None:
        """A page of details is handed on in portions; a limit in the third costs that one, not the page."""
        rows = [contact(n, -n / 60) for n in range(120)]
        left = 101
        whole = books(sheet("contacts", rows))

        def limited(request: httpx2.Request) -> httpx2.Response:
            nonlocal left
            left -= 1
            return whole(request) if left >= 0 else answer({"code": 44, "message": "blocked"}, 429)

        peer.api = [limited]
        with pytest.raises(SourceThrottledError):
            await read(EntityType.CUSTOMER)
        pages = read.pages
        assert [len(page.records) for page in pages] == [50, 50]
        peer.api = [whole]
        (rest,) = await read(EntityType.CUSTOMER, checkpoint=json.loads(json.dumps(pages[-1].checkpoint)))
        assert ids([*pages, rest]) == [[f"{n}" for n in range(a, b)] for a, b in ((0, 50), (50, 100), (100, 120))]
        assert rest.last

    async def test_hands_on_a_row_without_an_id(self, peer: Peer, read: Reader) -> None:
        """There is no detail to read; the mapping says what is wrong."""
        peer.api = [books(sheet("contacts", [{"contact_name": "X"}]))]
        ((record,),) = [page.records for page in await read(EntityType.CUSTOMER)]
        assert json.loads(record.body) == {"contact_name": "X"}


class TestPages:
    """The source's own part."""

    def test_refuses_what_is_not_polled(self, read: Reader) -> None:
        """An entity that nobody reads is refused before anything is asked."""
        with pytest.raises(SourceError, match="invoice"):
            read.source.pages(EntityType.INVOICE, since=None, checkpoint=None)

    def test_tells_what_is_polled(self, read: Reader) -> None:
        """Products and customers."""
        assert read.source.entity_types == {EntityType.PRODUCT, EntityType.CUSTOMER}
        assert read.source.name == "zoho"
