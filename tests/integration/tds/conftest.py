"""What the pipeline's tests share."""

from __future__ import annotations

import logging
from collections.abc import Generator

import pytest
import structlog

from app.core.config import LogSettings
from app.core.telemetry import configure_logging


@pytest.fixture(autouse=True, scope="module")
def logging_as_in_production() -> Generator[None]:
    """Plain tracebacks: structlog's own default draws each for two seconds, and the event loop waits."""
    before, handlers, level = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    configure_logging(LogSettings(level="error", format="json"))
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
