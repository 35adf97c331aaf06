"""Bodies that are too large, not what they say, or meant to exhaust whoever reads them."""

from __future__ import annotations

import gzip
import json

import pytest

from tests.support.wire import Server, head, problem_of

RUNS = "/api/tds/runs"
WEBHOOK = "/api/tds/webhooks/zoho"
REQUEST = b'{"source":"zoho","entity_type":"product","mode":"incremental"}'


class TestSizes:
    """What is too large is not read."""

    @pytest.mark.parametrize("target", [RUNS, WEBHOOK, "/api/bff/tds/runs", "/api/auth/session"])
    def test_huge_body_that_says_so(self, server: Server, target: str) -> None:
        """Refused by its length, before any of it."""
        problem_of(
            server.exchange(head("POST", target, "Content-Type: application/json", "Content-Length: 99999999999")), 413
        )

    @pytest.mark.parametrize("target", [RUNS, WEBHOOK])
    def test_huge_body_in_chunks(self, server: Server, target: str) -> None:
        """Refused as soon as it is too much: it says nothing of its length."""
        chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
        start = head("POST", target, "Content-Type: application/json", "Transfer-Encoding: chunked")
        problem_of(server.exchange(start, *[chunk] * 80), 411, 413, 422)

    def test_gzip_bomb(self, server: Server) -> None:
        """Nothing is unpacked: what comes packed is not what it says."""
        bomb = gzip.compress(b"[" * 20_000_000)
        answer = server.post(RUNS, bomb, "Content-Encoding: gzip", "Content-Type: application/json")
        problem_of(answer, 400, 415, 422)


class TestContents:
    """What is no request is told so."""

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "a", ""]
    )
    def test_wrong_content_type(self, server: Server, kind: str) -> None:
        """JSON that does not say that it is JSON: a page of another site can send that, so it is not taken for it."""
        problem_of(server.post(RUNS, REQUEST, f"Content-Type: {kind}"), 415, 422)

    @pytest.mark.parametrize("depth", [100, 5_000, 400_000])
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
    def test_deep_json(self, server: Server, depth: int, opening: str, closing: str) -> None:
        """No stack is deep enough for everything."""
        body = opening * depth + "1" + closing * depth
        problem_of(server.post(RUNS, body.encode()), 400, 413, 422)
        deep = f'{{"source":"zoho","entity_type":"product","mode":{body}}}'
        problem_of(server.post(RUNS, deep.encode()), 400, 413, 422)

    @pytest.mark.parametrize(
        "number", ["1e999", "-1e999", "9" * 5_000, "0." + "1" * 50_000, "1E+400000000", "NaN", "Infinity", "0x10", "01"]
    )
    def test_huge_and_odd_numbers(self, server: Server, number: str) -> None:
        """As a value, and where a number belongs."""
        body = f'{{"source":"zoho","entity_type":"product","mode":{number}}}'
        problem_of(server.post(RUNS, body.encode()), 400, 422)
        problem_of(server.get(f"{RUNS}?limit=-{number[:1_000].replace('+', '%2B')}"), 422)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"{}",
            b"[]",
            b'"text"',
            b"{",
            b'{"source":"zoho",}',
            b'{"source":"zoho"}{"source":"zoho"}',
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\x00}\x00",
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
            b'{"source":"zoho","entity_type":"product","mode":"incremental","__proto__":{"admin":true}}',
            b'{"source":["zoho"],"entity_type":{"$ne":null},"mode":"incremental"}',
            b'{"source":"zoho","source":"other","entity_type":"product","mode":"nothing"}',
        ],
        ids=lambda body: body[:20].decode("latin-1").encode("unicode_escape").decode() or "empty",
    )
    def test_what_is_no_such_request(self, server: Server, body: bytes) -> None:
        """Whatever it is, it is refused by name, and nothing of the machine shows."""
        answer = server.post(RUNS, body)
        problem_of(answer, 400, 404, 415, 422)
        assert b"root:" not in answer.body

    @pytest.mark.parametrize(
        "text",
        [b"\\ud800", b"\\udfff\\ud800", b"a\\u0000b", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xff"],
        ids=["high surrogate", "wrong order", "NUL", "overlong", "surrogate bytes", "beyond Unicode", "no UTF-8"],
    )
    @pytest.mark.parametrize("field", ["source", "entity_type", "mode"])
    def test_text_that_no_database_takes(self, server: Server, field: str, text: bytes) -> None:
        """Refused before it gets there."""
        fields = {"source": b"zoho", "entity_type": b"product", "mode": b"incremental", field: b"x" + text}
        body = b"{" + b",".join(b'"%s":"%s"' % (name.encode(), value) for name, value in fields.items()) + b"}"
        problem_of(server.post(RUNS, body), 400, 404, 422)

    def test_a_note_may_hold_any_text_there_is(self, server: Server) -> None:
        """Right to left, joined, combining, beyond the first plane: it comes back as it was."""
        note = "قميص \u202egnp.exe\u202c 👩‍👩‍👧 e\u0301 \U0010fffd '; DROP TABLE tds_pauses; --"
        body = {"source": "zoho", "entity_type": "product", "mode": "pause", "note": note}
        assert server.post("/api/tds/pauses", json.dumps(body).encode()).json["note"] == note
        server.exchange(head("DELETE", "/api/tds/pauses/zoho/product"))
