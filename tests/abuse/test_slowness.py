"""Clients that take their time: they are cut off, and nobody waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from tests.support.wire import Server, head, problem_of


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


class TestSlowClients:
    """Slow to speak."""

    def test_one_that_dribbles_its_headers_is_cut_off(self, server: Server) -> None:
        """Each byte comes, and the request never; meanwhile others are served."""
        with server.wire() as wire:
            assert wire.dribble(_bytes_of(head("GET", "/health/live", "X-Long: " + "a" * 10_000)))
            server.assert_alive()
            answer = wire.answer()
            assert answer is not None
            assert problem_of(answer, 408)["type"] == "urn:tds:problem:request-too-slow"

    def test_one_that_dribbles_its_body_is_cut_off(self, server: Server) -> None:
        """On a route that reads it to the end."""
        with server.wire() as wire:
            wire.send(head("POST", "/api/tds/webhooks/zoho", "Content-Length: 10000"))
            assert wire.dribble(repeat(b"a", 10_000))
            server.assert_alive()
            answer = wire.answer()
            assert answer is not None
            assert problem_of(answer, 408)["type"] == "urn:tds:problem:request-too-slow"

    def test_one_that_dribbles_chunks_is_cut_off(self, server: Server) -> None:
        """A body without a length is no way around it."""
        with server.wire() as wire:
            wire.send(head("POST", "/api/tds/webhooks/zoho", "Transfer-Encoding: chunked"))
            assert wire.dribble(repeat(b"1\r\na\r\n", 10_000))
            answer = wire.answer()
            assert answer is not None
            problem_of(answer, 408)

    def test_one_that_says_nothing_is_cut_off(self, server: Server) -> None:
        """An open connection is no request, and gets no answer."""
        with server.wire() as wire:
            assert wire.answer() is None

    def test_one_that_dribbles_empty_lines_is_cut_off(self, server: Server) -> None:
        """Line breaks before a request are let pass, but not for ever: at first, and on a connection kept alive."""
        with server.wire() as wire:
            assert wire.dribble(repeat(b"\r\n", 10_000))
        with server.wire() as wire:
            wire.send(head("GET", "/health/live", close=False))
            kept = wire.answer()
            assert kept is not None
            assert kept.status == 200
            assert wire.dribble(repeat(b"\r\n", 10_000))

    def test_one_that_goes_on_with_a_refused_body_is_cut_off(self, server: Server) -> None:
        """It has had its answer; the connection ends all the same."""
        with server.wire() as wire:
            wire.send(head("POST", "/api/tds/webhooks/zoho", "Content-Length: 99999999", close=False))
            answer = wire.answer()
            assert answer is not None
            problem_of(answer, 413)
            assert wire.dribble(repeat(b"a", 10_000))

    def test_one_that_does_not_read_is_cut_off(self, server: Server) -> None:
        """Answers that nobody takes are not kept for ever; other clients are served meanwhile."""
        with server.wire(receive_buffer=4_096) as wire:
            wire.send(head("GET", "/openapi.json", close=False) * 100)
            server.assert_alive()
            assert wire.hangs_up()

    def test_many_at_once_keep_nobody_out(self, server: Server) -> None:
        """Three hundred heads that never end."""
        wires = [server.wire() for _ in range(300)]
        try:
            for wire in wires:
                wire.send(b"GET /health/live HTTP/1.1\r\nHost: tds.example\r\nX-Half: ")
            server.assert_alive()
            for wire in wires:
                answer = wire.answer()
                assert answer is not None
                assert answer.status == 408
        finally:
            for wire in wires:
                wire.socket.close()
