"""Problem documents (RFC 9457): the one shape of every error that leaves the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, cast
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import compile_path

from app.core.errors import TdsError
from app.core.telemetry import get_logger

__all__ = ["install_problem_handlers", "problem", "request_id_of"]

_log = get_logger(__name__)
_MEDIA_TYPE: Final = "application/problem+json"
_TYPE_BASE: Final = "urn:tds:problem:"


def request_id_of(request: Request) -> str:
    """The id under which this request stands in the logs."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = uuid4().hex
    return request.state.request_id


def problem(
    request: Request, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """A problem document: ``type`` is stable, ``detail`` is for a person, ``request_id`` for the logs."""
    request_id = request_id_of(request)
    body = {
        "type": _TYPE_BASE + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
        **extra,
    }
    all_headers = {"X-Request-Id": request_id, **(headers or {})}
    return JSONResponse(body, status, all_headers, media_type=_MEDIA_TYPE)


async def _tds_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TdsError)  # noqa: S101 - registered for this class
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request_failed", code=error.code, request_id=request_id_of(request), exc_info=error)
    return problem(request, error.status, error.code, error.message, headers=dict(error.headers), **error.details)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(request, error.status_code, code, str(error.detail), headers=headers)


def _methods(request: Request) -> list[str]:
    """What this path may be asked for: the framework tells of the first of its routes only."""
    path: str = request.scope["path"]
    routes = list(iter_route_contexts(cast("FastAPI", request.app).routes))
    template = next((one.path for one in routes if one.path and compile_path(one.path)[0].match(path)), None)
    return sorted({method for one in routes if one.path == template for method in one.methods or ()})


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
    return problem(request, 422, "invalid-request", "The request cannot be used as it is.", errors=errors)


async def _gone(request: Request, error: Exception) -> JSONResponse:
    del error
    return problem(request, 400, "client-gone", "The client hung up before its request was complete.")


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    _log.warning("database_unavailable", request_id=request_id_of(request), error=str(error))
    detail = "The database does not answer. Nothing was stored; try again in a moment."
    return problem(request, 503, "database-unavailable", detail, headers={"Retry-After": "5"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("request_crashed", request_id=request_id_of(request), exc_info=error)
    return problem(request, 500, "internal-error", "Something went wrong here; the request id finds it in the logs.")


def install_problem_handlers(app: FastAPI) -> None:
    """Render every error of this application as a problem document."""
    app.add_exception_handler(TdsError, _tds_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    for kind in (DBAPIError, PoolTimeoutError, ConnectionError, TimeoutError):
        app.add_exception_handler(kind, _unavailable)
    app.add_exception_handler(Exception, _unexpected)
