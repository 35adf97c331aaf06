"""Heads of requests that are too large, too many, or not what they claim to be."""

from __future__ import annotations

import pytest

from tests.support.wire import Server, head, problem_of

RUNS = "/api/tds/runs"


class TestSizes:
    """What is too large is refused, and the refusal arrives."""

    def test_huge_header(self, server: Server) -> None:
        """One header of a megabyte."""
        document = problem_of(server.get(RUNS, "X-Huge: " + "a" * 1_048_576), 431)
        assert document["type"] == "urn:tds:problem:headers-too-large"

    def test_header_without_end(self, server: Server) -> None:
        """It is not collected for as long as it comes."""
        with server.wire() as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: tds.example\r\nX-Endless: ")
            while wire.send(b"a" * 65_536):
                pass
        problem_of(server.exchange(b"GET / HTTP/1.1\r\nX-Endless: " + b"a" * 70_000), 431)

    def test_many_small_headers_of_a_large_sum(self, server: Server) -> None:
        """The sum counts."""
        problem_of(server.get(RUNS, *(f"X-{number}: {'a' * 900}" for number in range(90))), 431)

    def test_too_many_headers(self, server: Server) -> None:
        """Ten thousand of them."""
        problem_of(server.get(RUNS, *(f"X-{number}: a" for number in range(10_000))), 431)

    def test_as_many_headers_as_browsers_send(self, server: Server) -> None:
        """Sixty, and a cookie of four kilobytes, are nothing unusual."""
        headers = [f"X-{number}: {'a' * 100}" for number in range(60)]
        assert server.get(RUNS, *headers, "Cookie: other=" + "a" * 4_000).status == 200

    @pytest.mark.parametrize("size", [40_000, 1_000_000])
    def test_huge_query(self, server: Server, size: int) -> None:
        """Whether it comes in one piece or in many."""
        document = problem_of(server.get(f"{RUNS}?source={'a' * size}"), 414)
        assert document["type"] == "urn:tds:problem:target-too-long"

    def test_huge_path(self, server: Server) -> None:
        """The path counts as the query does."""
        problem_of(server.get("/" + "a/" * 50_000), 414)

    def test_huge_method(self, server: Server) -> None:
        """There is no such method, however long."""
        problem_of(server.exchange(head("A" * 100_000, "/")), 400)


class TestMethods:
    """Methods, true and pretended."""

    @pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "CONNECT", "PUT", "PATCH", "DELETE", "PROPFIND"])
    def test_others_than_the_route_has_are_refused(self, server: Server, method: str) -> None:
        """And nothing is echoed."""
        answer = server.exchange(head(method, RUNS, "X-Echo: canary"))
        problem_of(answer, 405)
        assert b"canary" not in answer.body

    def test_head_has_no_body(self, server: Server) -> None:
        """Answered as GET would be, or refused: never with a body, which would be taken for the next answer."""
        with server.wire() as wire:
            wire.send(head("HEAD", "/health/live", close=False) + head("GET", "/health/live"))
            first, second = wire.answer(to_head=True), wire.answer()
        assert first is not None
        assert first.status in (200, 405)
        assert second is not None
        assert (second.status, second.json) == (200, {"status": "ok"})

    @pytest.mark.parametrize("method", ["get", "G E T", "GET\x00", "G\xcb\x99ET", "", "SSTP_DUPLEX_POST"])
    def test_what_is_no_method_is_refused(self, server: Server, method: str) -> None:
        """Before anything looks at the path."""
        problem_of(server.exchange(head(method, "/health/live")), 400)

    @pytest.mark.parametrize(
        "header", ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"]
    )
    def test_a_header_changes_no_method(self, server: Server, header: str) -> None:
        """What a POST says of itself in passing is not believed."""
        target = "/api/tds/pauses/zoho/product"
        server.post("/api/tds/pauses", b'{"source":"zoho","entity_type":"product","mode":"pause"}')
        problem_of(server.post(target, b"{}", header), 405)
        problem_of(server.post(f"{target}?_method=DELETE", b"_method=DELETE"), 405, 422)
        assert "product" in [one["entity_type"] for one in server.get("/api/tds/pauses").json]
        assert server.exchange(head("DELETE", target)).status == 200


class TestDuplicates:
    """What comes twice."""

    def test_two_authorizations_let_nobody_in(self, server: Server) -> None:
        """Whichever is right."""
        answer = server.get(RUNS, "Authorization: Bearer wrong", "Authorization: Bearer example-admin-token")
        problem_of(answer, 401)

    def test_two_hosts(self, server: Server) -> None:
        """Refused, or served as one: never a crash."""
        answer = server.get("/health/live", "Host: a.example", "Host: b.example")
        assert answer.status in (200, 400)

    def test_two_lengths_are_refused(self, server: Server) -> None:
        """Whoever reads one of them reads another body than whoever reads the other."""
        problem_of(server.exchange(head("POST", RUNS, "Content-Length: 2", "Content-Length: 20"), b"{}" * 10), 400)

    @pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=abc", "source=a&source=b&source=c"])
    def test_parameters(self, server: Server, query: str) -> None:
        """One of them counts, or they are refused."""
        answer = server.get(f"{RUNS}?{query}")
        if answer.status != 200:
            problem_of(answer, 422)


class TestSmuggling:
    """Requests that two servers might read differently."""

    @pytest.mark.parametrize(
        "headers",
        [
            ("Content-Length: 6", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 6"),
            ("Transfer-Encoding: chunked, identity",),
            ("Transfer-Encoding: xchunked",),
            ("Transfer-Encoding : chunked",),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
            ("Transfer-Encoding:\x0bchunked",),
            ("Content-Length: +6",),
            ("Content-Length: 0x6",),
            ("Content-Length: 6, 6",),
            ("Content-Length: -1",),
            ("Content-Length: 99999999999999999999999",),
            ("Content-Length: 6\nX-Bare: feed",),
            ("X-Folded: a\r\n b", "Content-Length: 6", "Content-Length: 7"),
            ("Bad Name: a",),
            ("X-Nul: a\x00b",),
            ("X-Return: a\rb",),
        ],
        ids=lambda headers: " | ".join(headers).encode("unicode_escape").decode(),
    )
    def test_ambiguous_framing_ends_the_connection(self, server: Server, headers: tuple[str, ...]) -> None:
        """A refusal, and no second answer for what was smuggled behind."""
        smuggled = b"0\r\n\r\n" + head("DELETE", "/api/tds/pauses/zoho/product")
        with server.wire() as wire:
            wire.send(head("POST", RUNS, *headers, close=False) + smuggled)
            answer = wire.answer()
            assert answer is not None
            problem_of(answer, 400, 413, 422)
            assert wire.answer() is None

    @pytest.mark.parametrize("size", [b"-1", b"0x5", b"ffffffffffffffffff", b"5;" + b"a" * 100_000, b"zz", b""])
    def test_odd_chunk_sizes_end_the_connection(self, server: Server, size: bytes) -> None:
        """A chunk is as long as its hexadecimal number says."""
        with server.wire() as wire:
            wire.send(head("POST", "/api/tds/webhooks/zoho", "Transfer-Encoding: chunked", close=False))
            wire.send(size + b"\r\nhello\r\n0\r\n\r\n")
            answer = wire.answer()
            assert answer is not None
            problem_of(answer)
            assert wire.hangs_up()

    def test_pipelined_requests_are_answered_in_turn(self, server: Server) -> None:
        """Each by its own answer."""
        with server.wire() as wire:
            wire.send(
                head("GET", "/health/live", close=False) + head("GET", "/nowhere", close=False) + head("GET", RUNS)
            )
            statuses = [answer.status for answer in (wire.answer(), wire.answer(), wire.answer()) if answer]
        assert statuses == [200, 404, 200]

    @pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
    def test_upgrades_are_not_made(self, server: Server, upgrade: str) -> None:
        """The request is answered as it is, over HTTP/1.1."""
        answer = server.get(
            "/health/live", "Connection: Upgrade, close", f"Upgrade: {upgrade}", "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="
        )
        assert answer.status in (200, 400)

    @pytest.mark.parametrize(
        "junk",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x00" * 200,
        ],
        ids=["TLS", "HTTP/2", "HTTP/0.9", "HTTP/9.9", "NUL"],
    )
    def test_other_protocols_are_refused(self, server: Server, junk: bytes) -> None:
        """As what they are: no request, or none for anything here."""
        problem_of(server.exchange(junk), 400, 404)
