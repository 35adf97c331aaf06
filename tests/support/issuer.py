"""An identity provider on this machine: discovery and keys over HTTP, and tokens signed with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

__all__ = ["AUDIENCE", "Issuer", "Key", "running_issuer"]

AUDIENCE = "tds"


class Key:
    """A signing key of one algorithm."""

    def __init__(self, kid: str, algorithm: str = "ES256", *, private: Any = None) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.private: Any = private or _made(algorithm)

    @property
    def public(self) -> dict[str, Any]:
        """The public half, as a JWK."""
        told: Any = get_default_algorithms()[self.algorithm]
        jwk = json.loads(told.to_jwk(self.private.public_key()))
        return {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig"}


def _made(algorithm: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """What it answers: its ``keys``, or ``broken`` as it is; ``asked`` counts the calls for keys."""

    def __init__(self) -> None:
        self.keys: list[Key] = [Key("first")]
        self.broken: tuple[int, bytes] | None = None
        self.asked = 0
        self.issuer = ""
        self.discovered: Mapping[str, Any] | None = None

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        if path == "/.well-known/openid-configuration":
            told = self.discovered or {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
            return 200, json.dumps(told).encode()
        if path != "/keys":
            return 404, b""
        self.asked += 1
        return self.broken or (200, json.dumps({"keys": [one.public for one in self.keys]}).encode())

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims, with changes; None leaves one out."""
        now = int(time.time())
        good = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "sara",
            "role": "operator",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, key: Key | None = None, *, headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A signed token."""
        signing = key or self.keys[0]
        head = {"kid": signing.kid, **(headers or {})}
        return jwt.encode(self.claims(**changes), signing.private, algorithm=signing.algorithm, headers=head)


@contextmanager
def running_issuer() -> Generator[Issuer]:
    """An issuer that listens, on a free port."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            status, body = issuer.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of its base
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
