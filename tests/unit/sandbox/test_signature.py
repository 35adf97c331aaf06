"""The webhook signature against worked examples."""

from __future__ import annotations

import pytest

from app.sandbox.zoho.signature import sign, string_to_sign

SECRET = "mysecretkey12"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
ARABIC = '{"item":{"name":"ماوس &amp; كيبل"}}'
DATED = '{"created_date":"2019-03-06","event_id":"5675"}'

# query, content type, body, string to sign, hex digest
VECTORS = [
    pytest.param(
        "subscription_id=90343&name=basic",
        JSON,
        DATED,
        f"namebasicsubscription_id90343{DATED}",
        "ec0357bb87b946f9b88f3d80899810913dfbc310ada921e1d1e25575d5f63ee9",
        id="printed-by-zoho",
    ),
    pytest.param(
        "",
        JSON,
        '{"test":true}',
        '{"test":true}',
        "beeba5fe977923913952d4d245be79be8daaea0e1d7c2785731491518b098653",
        id="body-only",
    ),
    pytest.param(
        "", JSON, ARABIC, ARABIC, "929194b0cb3a72f71454f34f5bce5eefa0afc55be622f94423ef8c032bb9ac71", id="arabic"
    ),
    pytest.param(
        "b=x%20y&a=1%262",
        JSON,
        "{}",
        "a1&2bx y{}",
        "a8a6e9df557cd36ddcbfb963b31a4b9b88cf429158a7279d8fc3e6c9c26ccab4",
        id="encoded-query",
    ),
    pytest.param(
        "name=basic",
        FORM,
        "total=100&customer_name=A+B",
        "customer_nameA Bnamebasictotal100",
        "3f715515186c2ad637cdfb5b3d244a7a36c013e6ed6bd76c703d5863017ed99c",
        id="form",
    ),
]


@pytest.mark.parametrize(("query", "content_type", "body", "joined", "digest"), VECTORS)
class TestSign:
    """What is signed, and the digest of it."""

    def test_joins_sorted_pairs_and_body(
        self, query: str, content_type: str, body: str, joined: str, digest: str
    ) -> None:
        """Query and form pairs are sorted together; only a body that is no form is appended."""
        del digest
        assert string_to_sign(query, body.encode(), content_type).decode() == joined

    def test_gives_the_digest(self, query: str, content_type: str, body: str, joined: str, digest: str) -> None:
        """The header is the lower-case hex HMAC-SHA256."""
        del joined
        assert sign(SECRET, query, body.encode(), content_type) == digest
