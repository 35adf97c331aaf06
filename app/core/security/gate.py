"""Who asks: a credential becomes a principal, and what was verified is remembered while nothing has changed.

Nothing has changed as long as the ACCESS epoch is the one that was read before the credential was verified: whoever
revokes a token raises it in the same transaction, so every process knows of it with its next look at the epochs.
"""

from __future__ import annotations

from fastapi import Request

from app.core.config import AuthSettings, ServerSettings
from app.core.database import Database
from app.core.epochs import ACCESS, EpochReader, Epochs
from app.core.security.credentials import Credential, RawHeaders, is_secure, present
from app.core.security.errors import CsrfError, ForbiddenError, TooManyRequestsError, UnauthorizedError
from app.core.security.identity import IdentityProvider, looks_like_jwt
from app.core.security.limits import RateLimit
from app.core.security.lookup import Lookup
from app.core.security.memory import Memory, Verified
from app.core.security.principals import Principal
from app.core.security.recording import RecordAccess
from app.core.security.secrets import digest, prefix_of
from app.core.security.throttle import LoginThrottle
from app.core.security.uses import Uses

__all__ = ["CsrfError", "ForbiddenError", "Gate", "TooManyRequestsError", "UnauthorizedError"]


class Gate:
    """Tells who asks, and how often they may; one for each process."""

    def __init__(
        self,
        database: Database,
        epochs: EpochReader,
        *,
        server: ServerSettings,
        auth: AuthSettings,
        record: RecordAccess,
    ) -> None:
        self.auth = auth
        self.database = database
        self.record = record
        self.throttle = LoginThrottle(database)
        static = server.admin_token
        self._static_hash = digest(static.get_secret_value()) if static is not None else None
        self._epochs = epochs
        self._lookup = Lookup(database, auth, self._static_hash)
        self._provider = IdentityProvider(auth) if auth.issuer is not None else None
        self._memory = Memory()
        self._uses = Uses(database)
        self._limit = RateLimit(server.rate_per_minute, server.rate_burst)

    async def identify(self, request: Request) -> Principal:
        """Who sends this request. Nothing but its head is looked at.

        Raises:
            UnauthorizedError: nobody known, or not any more.
            ForbiddenError: somebody whom the identity provider gives no role here.
            KeysUnreachableError: the identity provider's keys cannot be had.
        """
        headers: RawHeaders = request.scope["headers"]
        epochs = await self._epochs.current()  # before the look-up: what is revoked after it is another epoch's
        known = self.recall(headers, epochs)
        if known is not None:
            return known
        credential = present(headers, secure=is_secure(request.scope))
        verified = await self._verify(credential)
        self._memory.put(credential.raw, verified, epochs.get(ACCESS, 0))
        self._note(verified)
        return verified.principal

    def recall(self, headers: RawHeaders, epochs: Epochs) -> Principal | None:
        """Whom these headers were verified for in this ACCESS epoch, in this process; None: ask ``identify``."""
        raw: bytes | None = None
        cookie: bytes | None = None
        for name, value in headers:
            if name == b"authorization":
                if raw is not None:
                    return None
                raw = value
            elif name == b"cookie":
                if cookie is not None:
                    return None
                cookie = value
        wanted = raw if raw is not None else cookie
        verified = None if wanted is None else self._memory.get(wanted, epochs.get(ACCESS, 0))
        if verified is None:
            return None
        self._note(verified)
        return verified.principal

    def admit(self, principal: Principal) -> None:
        """Count a request of somebody's.

        Raises:
            TooManyRequestsError: too many for now; ``retry_after`` tells when there may be more.
        """
        self._limit.take(principal.key)

    async def verify_token(self, given: str) -> Verified:
        """Whom an API token, or the token of the settings, stands for; this is what browsers sign in with.

        Raises:
            UnauthorizedError: nobody, or not any more.
        """
        verified = await self._lookup.token(given) if self._may_be_token(given) else None
        if verified is None:
            raise UnauthorizedError("This token is not known here, or has expired, or is revoked.")
        return verified

    def _may_be_token(self, given: str) -> bool:
        return self._static_hash is not None or prefix_of(given) is not None

    async def settle(self) -> None:
        """Wait until what is noted of the last uses is written."""
        await self._uses.settle()

    async def _verify(self, credential: Credential) -> Verified:
        if credential.kind == "session":
            verified = await self._lookup.session(credential.text)
            if verified is None:
                raise UnauthorizedError("This session has ended: sign in anew.")
            return verified
        if self._provider is not None and looks_like_jwt(credential.text) and prefix_of(credential.text) is None:
            identity = await self._provider.verify(credential.text)
            return Verified(identity.principal, identity.until)
        return await self.verify_token(credential.text)

    def _note(self, verified: Verified) -> None:
        if verified.used is not None:
            self._uses.note(verified.used)
