"""Logging: structlog and the standard library through one renderer, on standard error.

A log line has a static event name; what differs is keyword data. Ids are logged, objects and secrets never:
what looks like a credential, by its key or by its form, is masked before it is rendered.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TextIO, cast

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from app.core.config import LogSettings

__all__ = ["configure_logging", "get_logger", "mask"]

MASK: Final = "***"

_NAMES: Final = (
    r"(?:access|refresh|auth|oauth|api|bearer|id|csrf|session)_?token|token|\w*secret|\w*password|passwd"
    r"|api_?key|private_?key|authorization"
)
_SECRET_KEY: Final = re.compile(rf"(^|_)({_NAMES}|\w*credentials?|(set_)?cookies?|signature|dsn)$", re.IGNORECASE)
_SECRET_TEXT: Final = (
    (re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{MASK}"),
    (re.compile(r"\b(bearer|basic|zoho-oauthtoken)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1\2{MASK}"),
    (re.compile(rf"\b({_NAMES}|(?<=[?&])code)([\"']?\s*[=:]\s*[\"']?)[^&\s\"',}}]+", re.IGNORECASE), rf"\1\2{MASK}"),
)

_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
# One list for the life of the process: `structlog.testing.capture_logs` replaces its content in place.
_PROCESSORS: Final[list[Processor]] = [*_SHARED, ProcessorFormatter.wrap_for_formatter]

_LEVELS: Final[Mapping[str, int]] = logging.getLevelNamesMapping()
_OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy")
_CHATTY: Final = ("alembic", "asyncio", "httpcore2", "httpx2", "sqlalchemy.engine", "sqlalchemy.pool")
"""Talk at info level about each call, with whole URLs in it."""


class _Handler(logging.StreamHandler[TextIO]):
    """Our handler at the root logger, so that configuring twice replaces it and touches nobody else's."""


def configure_logging(settings: LogSettings) -> None:
    """Send all logging to standard error: coloured lines on a terminal, else one JSON object a line.

    May be called again; the newest settings hold. Run uvicorn with ``log_config=None``.
    """
    level = _LEVELS[settings.level.upper()]
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A cached logger would keep the level it first had; a log line is rare enough to build its own.
        cache_logger_on_first_use=False,
    )
    _route_standard_library(level, _formatter(_resolve(settings.format)))


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger of that name; safe at module level, since it reads the configuration when it is used."""
    return cast("FilteringBoundLogger", structlog.stdlib.get_logger(name))


def mask(value: Any) -> Any:
    """``value`` without credentials: URL passwords, bearer tokens, ``token=...`` pairs and secret-named keys."""
    if isinstance(value, str):
        return _mask_text(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: MASK if _is_secret(key, inner) else mask(inner) for key, inner in items}
    if isinstance(value, list | tuple):
        return [mask(inner) for inner in cast("Sequence[Any]", value)]
    return value


def _mask_text(text: str) -> str:
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _is_secret(key: object, value: object) -> bool:
    """A number, a flag or nothing is no credential, whatever it is called: ``lease_token=7``."""
    if value is None or isinstance(value, int | float) or not isinstance(key, str):
        return False
    return _SECRET_KEY.search(key.replace("-", "_")) is not None


def _mask_event(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    del logger, method
    return cast("EventDict", mask(event))


def _resolve(choice: Literal["auto", "console", "json"]) -> Literal["console", "json"]:
    if choice == "auto":
        return "console" if sys.stderr.isatty() else "json"
    return choice


def _formatter(kind: Literal["console", "json"]) -> ProcessorFormatter:
    return ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            _drop_colour_twin,
            # Rendered to text first, so that a credential in an exception's message is masked too.
            structlog.processors.format_exc_info,
            _mask_event,
            _renderer(kind),
        ],
    )


def _drop_colour_twin(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Uvicorn sends its message a second time, with terminal codes."""
    del logger, method
    event.pop("color_message", None)
    return event


def _renderer(kind: Literal["console", "json"]) -> Processor:
    if kind == "console":
        return structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(serializer=_to_json_line)


def _to_json_line(event: EventDict, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a number beyond 64 bits, a lone surrogate: a log line is written all the same
        return orjson.dumps({str(key): ascii(value) for key, value in event.items()}).decode()


def _route_standard_library(level: int, formatter: logging.Formatter) -> None:
    handler = _Handler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _Handler)] + [handler]
    root.setLevel(level)
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
