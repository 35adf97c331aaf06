"""Answers in Zoho's envelope, and the errors by their codes."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from app.sandbox.zoho.wire import encode

__all__ = ["JSON_TYPE", "ZohoError", "error_response", "invalid_value", "json_response", "raw_response", "refusal"]

JSON_TYPE: Final = "application/json;charset=UTF-8"

_MESSAGES: Final[dict[int, tuple[int, str]]] = {
    5: (404, "We couldnt find any resource for the given ID. Please verify the ID and try again."),
    14: (401, "Invalid value passed for authtoken"),
    37: (405, "The HTTP method is not allowed for the requested resource"),
    43: (
        429,
        (
            "For security reasons you have been blocked for some time as you have exceeded the maximum number of "
            "requests per minute."
        ),
    ),
    44: (
        429,
        (
            "For security reasons your organization has been blocked as it have exceeded the maximum number of "
            "requests per minute that can originate from an organization."
        ),
    ),
    45: (429, "The API call for this organization has exceeded the maximum call rate limit of {limit}."),
    57: (401, "You are not authorized to perform this operation"),
    1000: (500, "Internal error"),
    1002: (404, "{name} does not exist."),
    1070: (
        429,
        "You have reached the maximum number of in process requests allowed. Kindly try again after some time.",
    ),
    6041: (400, "This user is not associated with the CompanyID/CompanyName: {name}."),
}


class ZohoError(Exception):
    """An answer with a code other than 0."""

    def __init__(self, code: int, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def refusal(code: int, **values: object) -> ZohoError:
    """The error of a code, with its usual status and message."""
    status, message = _MESSAGES[code]
    return ZohoError(code, message.format(**{"limit": 1000, "name": "Resource", **values}), status)


def invalid_value(name: str) -> ZohoError:
    """Code 2: a query parameter cannot be read."""
    return ZohoError(2, f"Invalid value passed for {name}", 400)


def error_response(error: ZohoError, *, retry_after: int | None = None) -> Response:
    """The answer of an error."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = encode({"code": error.code, "message": error.message})
    return Response(body, error.status, headers, JSON_TYPE)


def raw_response(body: bytes) -> Response:
    """A success whose envelope is already encoded."""
    return Response(body, 200, media_type=JSON_TYPE)


def json_response(value: object, status: int = 200) -> Response:
    """Any value as JSON."""
    return Response(encode(value), status, media_type=JSON_TYPE)
