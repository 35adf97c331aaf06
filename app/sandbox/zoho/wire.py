"""JSON as the sandbox reads and writes it: numbers as Decimal, so that 360.00 stays 360.00; UTF-8, no blanks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

__all__ = ["Data", "decode", "encode", "join_rows"]

Data: TypeAlias = dict[str, Any]


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON; a Decimal is written as a number with the digits it has."""
    return msgspec.json.Encoder(decimal_format="number").encode(value)


def decode(body: bytes) -> Any:
    """Read JSON, fractions as Decimal.

    Raises:
        ValueError: not JSON.
    """
    return msgspec.json.Decoder(float_hook=Decimal).decode(body)


def join_rows(key: str, rows: list[bytes], **rest: object) -> bytes:
    """A list envelope around rows that are already encoded."""
    tail = b"".join(b',"' + name.encode() + b'":' + encode(value) for name, value in rest.items())
    return b'{"code":0,"message":"success","' + key.encode() + b'":[' + b",".join(rows) + b"]" + tail + b"}"
