"""Logging: one shape for all lines, on standard error, without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
import pytest
import structlog
from pydantic import SecretStr
from structlog.contextvars import bound_contextvars

from app.core.config import LogSettings
from app.core.telemetry import configure_logging, get_logger, mask


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Leaves logging as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The JSON lines on standard error; nothing may be on standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    return [orjson.loads(line) for line in err.splitlines()]


class TestConfigureLogging:
    """What is written, and where."""

    def test_writes_a_json_line_off_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        """``auto`` is JSON where standard error is no terminal: event, data, level, logger, UTC time, bound context."""
        configure_logging(LogSettings(format="auto"))
        with bound_contextvars(request_id="r-1"):
            get_logger("app.test").info("item_applied", item_id=7)
        (line,) = lines(capsys)
        assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() is not None
        assert line == {
            "event": "item_applied",
            "item_id": 7,
            "level": "info",
            "logger": "app.test",
            "request_id": "r-1",
        }

    def test_writes_text_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        """``console`` is a readable line, with the traceback below it."""
        configure_logging(LogSettings(format="console"))
        get_logger("app.test").error("item_failed", item_id=7, exc_info=ValueError("boom"))
        out, err = capsys.readouterr()
        assert out == ""
        assert "item_failed" in err
        assert "item_id=7" in err
        assert "ValueError: boom" in err

    def test_leaves_out_what_is_below_the_level(self, capsys: pytest.CaptureFixture[str]) -> None:
        """For our loggers and for the standard library's alike."""
        configure_logging(LogSettings(level="warning", format="json"))
        get_logger("app.test").info("quiet")
        logging.getLogger("uvicorn.error").info("quiet")
        get_logger("app.test").warning("loud")
        assert [line["event"] for line in lines(capsys)] == ["loud"]

    @pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "elsewhere"])
    def test_renders_standard_loggers_the_same_way(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        """Other libraries' lines have the same keys, and their extras, once."""
        logging.getLogger("uvicorn").addHandler(logging.StreamHandler())
        configure_logging(LogSettings(format="json"))
        logging.getLogger(name).info("port %s", 80, extra={"worker": 3, "color_message": "port %s"})
        (line,) = lines(capsys)
        assert (line["event"], line["logger"], line["level"], line["worker"]) == ("port 80", name, "info", 3)
        assert "color_message" not in line

    def test_keeps_statements_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        """SQLAlchemy and the HTTP client log each call, with parameters and whole URLs: warnings only."""
        configure_logging(LogSettings(format="json"))
        logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")
        logging.getLogger("httpx2").info("GET https://x/?token=abc")
        assert lines(capsys) == []

    def test_may_be_called_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The newest settings hold, also for loggers made before, and no line comes twice."""
        logger = get_logger("app.test")
        configure_logging(LogSettings(level="error", format="json"))
        logger.info("first")
        configure_logging(LogSettings(level="debug", format="json"))
        logger.debug("second")
        assert [line["event"] for line in lines(capsys)] == ["second"]

    def test_writes_a_line_for_values_json_does_not_know(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An object, or a number beyond 64 bits, must not cost the line."""
        configure_logging(LogSettings(format="json"))
        get_logger("app.test").info("odd", thing=complex(1, 2))
        get_logger("app.test").info("huge", number=2**70)
        assert [line["event"].strip("'") for line in lines(capsys)] == ["odd", "huge"]

    def test_masks_secrets_in_values_and_tracebacks(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Neither a key, nor a URL, nor the message of an exception tells a secret."""
        configure_logging(LogSettings(format="json"))
        error = ConnectionError("postgresql://tds:hunter2@db/tds refused")
        get_logger("app.test").error("failed", exc_info=error, refresh_token="hunter2", key=SecretStr("hunter2"))
        logging.getLogger("elsewhere").info("Authorization: Bearer hunter2hunter2")
        out, err = capsys.readouterr()
        assert "hunter2" not in out + err
        assert err.count("\n") == 2


class TestMask:
    """What counts as a secret."""

    @pytest.mark.parametrize(
        "text",
        [
            "postgresql://user:hunter2@host/db",
            "redis://:hunter2@host",
            "Authorization: Zoho-oauthtoken 1000.hunter2.x",
            "Bearer hunter2hunter2",
            "https://host/path?refresh_token=hunter2&a=b",
            "https://host/cb?code=hunter2",
            "{'client_secret': 'hunter2', 'a': 1}",
            '{"access_token":"hunter2"}',
            "password=hunter2",
        ],
    )
    def test_finds_credentials_in_text(self, text: str) -> None:
        """By the form of what stands around them."""
        masked = mask(text)
        assert "hunter2" not in masked
        assert "***" in masked

    @pytest.mark.parametrize(
        "key",
        ["password", "client_secret", "refresh_token", "Authorization", "x-api-key", "Set-Cookie", "token", "dsn"],
    )
    def test_finds_credentials_by_key(self, key: str) -> None:
        """At any depth."""
        assert mask({"request": [{key: "hunter2"}]}) == {"request": [{key: "***"}]}

    @pytest.mark.parametrize(
        "value",
        [
            {"lease_token": 7, "tokens": 3, "token": None},
            {"signature_verdict": "valid", "status_code": "200"},
            "lease_token=7 status_code=200 basic rules",
            "https://host:8787/path?page=2",
            "user@host: code=42",
        ],
    )
    def test_leaves_the_rest_alone(self, value: object) -> None:
        """Fencing tokens, counters, status codes and plain words are what logs are read for."""
        assert mask(value) == value
