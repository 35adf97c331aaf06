"""The webhook signature of Zoho Books, Inventory and Billing.

The query pairs of the URL, with those of a form body, sorted by key, keys and values joined without separators, then
the raw body unless it is a form; HMAC-SHA256 with the secret, lower-case hex (Zoho's page on securing webhooks).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from urllib.parse import parse_qsl

__all__ = ["FORM_TYPE", "SIGNATURE_HEADER", "sign", "string_to_sign"]

FORM_TYPE: Final = "application/x-www-form-urlencoded"
SIGNATURE_HEADER: Final = "X-Zoho-Webhook-Signature"


def string_to_sign(query: str, body: bytes, content_type: str) -> bytes:
    """The bytes that are signed."""
    is_form = content_type.partition(";")[0].strip().lower() == FORM_TYPE
    pairs = parse_qsl(query, keep_blank_values=True)
    if is_form:
        pairs += parse_qsl(body.decode(), keep_blank_values=True)
    joined = "".join(key + value for key, value in sorted(pairs, key=lambda pair: pair[0]))
    return joined.encode() + (b"" if is_form else body)


def sign(secret: str, query: str, body: bytes, content_type: str) -> str:
    """The value of the signature header."""
    return hmac.new(secret.encode(), string_to_sign(query, body, content_type), hashlib.sha256).hexdigest()
