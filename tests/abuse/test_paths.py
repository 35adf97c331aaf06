"""Paths that try to be others."""

from __future__ import annotations

import pytest

from tests.support.wire import Server, head, problem_of

TRICKS = [
    "/../../etc/passwd",
    "/api/tds/../../../etc/passwd",
    "/api/tds/%2e%2e/%2e%2e/etc/passwd",
    "/api/tds/%252e%252e/etc/passwd",
    "/api/tds/..%2f..%2fetc%2fpasswd",
    "/api/tds/..%5c..%5cwindows%5cwin.ini",
    "/api/tds/..\\..\\windows\\win.ini",
    "/health/live/..",
    "/health/live/../ready",
    "/health/live%2f..%2fready",
    "//health/live",
    "/health//live",
    "/health/live//",
    "/health/live/",
    "/./health/live",
    "/health/live;a=b",
    "/health/live%00",
    "/health/live%00.html",
    "/%00",
    "/%c0%ae%c0%ae/etc/passwd",
    "/%ff%fe",
    "/%ed%a0%80",
    "/health/live%0d%0aX-Injected:%20yes",
    "/health/live%20",
    "/HEALTH/LIVE",
    "/%E2%80%AEevil/htlaeh",
    "/%",
    "/%zz",
    "/.git/config",
    "/.env",
    "/api/tds/runs/%2e%2e",
    "/api/tds/runs/..%2fjobs",
    "/api/tds/runs/%00",
    "/api/tds/dead-letters/..;/jobs",
]


class TestPaths:
    """Path tricks."""

    @pytest.mark.parametrize("path", TRICKS, ids=[one.replace("\\", "backslash") for one in TRICKS])
    def test_a_trick_finds_nothing(self, server: Server, path: str) -> None:
        """Neither a file, nor another route, nor a redirect to one, nor a crash."""
        answer = server.get(path)
        problem_of(answer, 400, 404, 405, 422)
        assert "location" not in answer.headers
        assert "x-injected" not in answer.headers
        assert b"root:" not in answer.body

    @pytest.mark.parametrize("target", ["http://evil.example/health/live", "//evil.example/health/live"])
    def test_another_host_is_not_asked(self, server: Server, target: str) -> None:
        """Nothing is fetched for anybody, and nobody is sent there."""
        answer = server.get(target)
        assert answer.status in (200, 400, 404)
        assert b"evil" not in answer.body
        assert "location" not in answer.headers

    @pytest.mark.parametrize(
        "target", [b"*", b"", b"health/live", b"/\xff\xfe", b"/\xd9\x82", b"/a b", b"/a\tb", b"\\health\\live"]
    )
    def test_what_is_no_target_is_refused(self, server: Server, target: bytes) -> None:
        """Odd bytes included."""
        problem_of(server.exchange(head("GET", target)), 400, 404)

    def test_a_wildcard_asks_for_nothing(self, server: Server) -> None:
        """``OPTIONS *`` is about the server, and it has nothing to say."""
        problem_of(server.exchange(head("OPTIONS", "*")), 400, 404, 405)

    def test_a_host_header_is_not_repeated(self, server: Server) -> None:
        """No address in an answer is made of it."""
        answer = server.get("/api/tds/runs/", "Host: evil.example")
        problem_of(answer, 404)
        assert b"evil" not in answer.body
        assert "evil" not in str(answer.headers)
