"""Who may call, what is not there, and the control API's refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2
import pytest

Get = Callable[..., Awaitable[httpx2.Response]]


class TestAuthorisation:
    """Token and organisation."""

    @pytest.mark.parametrize(("header", "code"), [("", 57), ("Bearer 1000.a.b", 57), ("Zoho-oauthtoken 1000.a.b", 14)])
    async def test_refuses_without_a_live_token(self, http: httpx2.AsyncClient, header: str, code: int) -> None:
        """The scheme is Zoho's own; a token that is not live has its own code."""
        answer = await http.get("/books/v3/items", headers={"Authorization": header})
        assert (answer.status_code, answer.json()["code"]) == (401, code)

    @pytest.mark.parametrize(("organization", "code"), [("", 2), ("1", 6041)])
    async def test_refuses_another_organisation(self, get: Get, organization: str, code: int) -> None:
        """It must be given, and be the one of the token."""
        answer = await get("/books/v3/items", organization_id=organization)
        assert (answer.status_code, answer.json()["code"]) == (400, code)

    async def test_organizations_need_none(self, get: Get) -> None:
        """A client finds its organisation by this call."""
        answer = (await get("/inventory/v1/organizations", organization_id="")).json()
        assert answer["organizations"][0]["currency_code"] == "IQD"


class TestNotFound:
    """What is not there."""

    @pytest.mark.parametrize(
        ("path", "message"),
        [("/inventory/v1/items/999", "Item does not exist."), ("/books/v3/contacts/999", "Contact does not exist.")],
    )
    async def test_unknown_ids_have_code_1002(self, get: Get, path: str, message: str) -> None:
        """The only sign of a deleted record."""
        answer = await get(path)
        assert (answer.status_code, answer.json()) == (404, {"code": 1002, "message": message})

    async def test_unknown_paths_have_code_5(self, get: Get) -> None:
        """A path that is none."""
        answer = await get("/books/v3/pricelists")
        assert (answer.status_code, answer.json()["code"]) == (404, 5)

    async def test_wrong_methods_have_code_37(self, http: httpx2.AsyncClient) -> None:
        """The sandbox is read by GET alone."""
        answer = await http.post("/books/v3/items")
        assert (answer.status_code, answer.json()["code"]) == (405, 37)

    async def test_currencies(self, get: Get) -> None:
        """The base currency is IQD, with three decimals."""
        currencies = (await get("/books/v3/settings/currencies")).json()["currencies"]
        base = next(entry for entry in currencies if entry["is_base_currency"])
        assert (base["currency_code"], base["price_precision"]) == ("IQD", 3)


class TestControl:
    """The control API."""

    @pytest.mark.parametrize(
        ("call", "body"),
        [
            ("changes", {"cuont": 3}),
            ("changes", {"count": 1, "create": 0, "update": 0, "delete": 0}),
            ("changes", {"edits": [{"action": "update", "module": "invoices"}]}),
            ("faults", {"kind": "explode"}),
            ("webhooks", {"secret": "short"}),
            ("limits", {"per_minute": -1}),
        ],
    )
    async def test_refuses_what_it_does_not_know(
        self, http: httpx2.AsyncClient, call: str, body: dict[str, object]
    ) -> None:
        """A campaign with a typo fails instead of testing nothing."""
        answer = await http.post(f"/_sandbox/{call}", json=body)
        assert answer.status_code == 422
        assert answer.json()["details"]

    async def test_unknown_records_are_404(self, http: httpx2.AsyncClient) -> None:
        """An edit of a record there is none of."""
        edit = {"action": "delete", "module": "items", "id": "1"}
        assert (await http.post("/_sandbox/changes", json={"edits": [edit]})).status_code == 404

    async def test_changes_show_in_the_api_and_in_the_records(self, get: Get, http: httpx2.AsyncClient) -> None:
        """An exact edit and a delete, seen from both sides."""
        kept, gone = [row["item_id"] for row in (await get("/inventory/v1/items")).json()["items"][:2]]
        edits = [
            {"action": "update", "module": "items", "id": kept, "fields": {"rate": 12.5}},
            {"action": "delete", "module": "items", "id": gone},
        ]
        changes = (await http.post("/_sandbox/changes", json={"edits": edits})).json()["changes"]
        detail = (await get(f"/inventory/v1/items/{kept}")).json()["item"]
        assert (detail["rate"], detail["last_modified_time"]) == (12.5, changes[0]["last_modified_time"])
        assert (await get(f"/inventory/v1/items/{gone}")).status_code == 404
        records = (await http.get("/_sandbox/records")).json()
        assert gone in records["deleted"]["items"]
        assert detail in records["items"]

    async def test_counts_calls_by_path_and_status(self, get: Get, http: httpx2.AsyncClient) -> None:
        """Ids are folded, control calls are not counted."""
        item = (await get("/inventory/v1/items")).json()["items"][0]["item_id"]
        await http.delete("/_sandbox/calls")
        for identifier in (item, item, "481500009999999999"):
            await get(f"/inventory/v1/items/{identifier}")
        calls = (await http.get("/_sandbox/calls")).json()
        assert calls["by_path"] == {"GET /inventory/v1/items/{id}": {"200": 2, "404": 1}}
        assert calls["total"] == 3
