"""JWTs of an identity provider that answers over HTTP: what is let in, what is not, and how keys come and go."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Generator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from app.core.config import AuthSettings
from app.core.security.errors import UnauthorizedError
from app.core.security.identity import IdentityProvider, NoRoleError, looks_like_jwt
from app.core.security.keys import KeysUnreachableError
from app.core.security.principals import Role
from tests.support.issuer import AUDIENCE, Issuer, Key, running_issuer


class Hours:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def issuer() -> Generator[Issuer]:
    """An identity provider."""
    with running_issuer() as running:
        yield running


@pytest.fixture
def clock() -> Hours:
    """The clock of the keys."""
    return Hours()


@pytest.fixture
def provider(issuer: Issuer, clock: Hours) -> IdentityProvider:
    """Ours of it, by discovery."""
    return provider_of(issuer, clock)


def provider_of(issuer: Issuer, clock: Hours | None = None, **changes: Any) -> IdentityProvider:
    """The same with other settings."""
    settings = AuthSettings(issuer=issuer.issuer, audience=AUDIENCE, **changes)
    return IdentityProvider(settings, now=clock or Hours())


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts)


class TestGood:
    """What is let in."""

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    async def test_a_token_of_each_allowed_algorithm(
        self, issuer: Issuer, provider: IdentityProvider, algorithm: str
    ) -> None:
        """Whom it names, with the role it gives, until it ends."""
        issuer.keys = [Key("k", algorithm)]
        verified = await provider.verify(issuer.token())
        one = verified.principal
        assert (one.name, one.role, one.kind, one.key) == ("sara", Role.OPERATOR, "jwt", "identity sara")
        assert time.time() + 300 < verified.until <= time.time() + 361

    async def test_one_that_ends_beyond_all_time(self, issuer: Issuer, provider: IdentityProvider) -> None:
        """A number that no clock holds is no crash."""
        assert (await provider.verify(issuer.token(exp=10**400))).until > time.time()

    async def test_one_of_several_audiences(self, issuer: Issuer, provider: IdentityProvider) -> None:
        """A list may hold ours."""
        assert (await provider.verify(issuer.token(aud=["other", AUDIENCE]))).principal.name == "sara"

    @pytest.mark.parametrize(
        ("settings", "claims", "role"),
        [
            ({}, {"role": "viewer"}, Role.VIEWER),
            ({}, {"role": ["viewer", "admin", "x"]}, Role.ADMIN),
            ({"role_claim": "realm_access.roles"}, {"realm_access": {"roles": ["operator"]}}, Role.OPERATOR),
            ({"role_claim": "https://x.example/roles"}, {"https://x.example/roles": "admin"}, Role.ADMIN),
            ({"roles": {"erp-admins": "admin"}}, {"role": "erp-admins"}, Role.ADMIN),
        ],
    )
    async def test_the_role_is_where_the_settings_say(
        self, issuer: Issuer, settings: dict[str, Any], claims: dict[str, Any], role: Role
    ) -> None:
        """Of several, the highest."""
        verified = await provider_of(issuer, **settings).verify(issuer.token(**claims))
        assert verified.principal.role is role

    @pytest.mark.parametrize("role", [None, "", "god", ["god"], 7, {"admin": True}, [["admin"]], "Admin"])
    async def test_without_a_role_of_ours_it_is_forbidden(
        self, issuer: Issuer, provider: IdentityProvider, role: Any
    ) -> None:
        """Nobody gets one by default."""
        with pytest.raises(NoRoleError):
            await provider.verify(issuer.token(role=role))

    @pytest.mark.parametrize("name", ['x"\n{"event":"fine"}', "a\r\nSet-Cookie: b", "\x1b[2Jx", "a\u202eb", "x" * 500])
    async def test_a_name_that_would_forge_a_line_comes_out_plain(self, issuer: Issuer, name: str) -> None:
        """Log injection by a claim: one printable line of at most a hundred characters."""
        provider = provider_of(issuer, name_claim="name")
        one = (await provider.verify(issuer.token(name=name, sub=name))).principal
        assert one.name.isprintable()
        assert one.key.isprintable()
        assert len(one.name) <= 100


class TestClockSkew:
    """Clocks differ by a minute, and no more."""

    @pytest.mark.parametrize("changes", [{"exp": -55}, {"nbf": 55}, {"iat": 55}])
    async def test_within_it_is_let_in(
        self, issuer: Issuer, provider: IdentityProvider, changes: dict[str, Any]
    ) -> None:
        """Ended or begun within the last or next minute."""
        now = int(time.time())
        await provider.verify(issuer.token(**{name: now + seconds for name, seconds in changes.items()}))

    @pytest.mark.parametrize("changes", [{"exp": -65}, {"nbf": 70}, {"iat": 70}])
    async def test_beyond_it_is_not(self, issuer: Issuer, provider: IdentityProvider, changes: dict[str, Any]) -> None:
        """Expired, or not valid yet."""
        now = int(time.time())
        with pytest.raises(UnauthorizedError):
            await provider.verify(issuer.token(**{name: now + seconds for name, seconds in changes.items()}))


class TestClaims:
    """What must be there, and be right."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": None},
            {"aud": None},
            {"exp": None},
            {"iat": None},
            {"sub": None},
            {"iss": "https://evil.example"},
            {"aud": "another"},
            {"aud": []},
            {"aud": {"tds": 1}},
            {"exp": "soon"},
            {"exp": [9999999999]},
            {"iat": "x"},
            {"nbf": "x"},
            {"sub": 7},
            {"sub": " \n"},
        ],
        ids=str,
    )
    async def test_is_refused_otherwise(
        self, issuer: Issuer, provider: IdentityProvider, changes: dict[str, Any]
    ) -> None:
        """401."""
        now = issuer.claims() | changes
        token = unsigned_but_signed(issuer, {k: v for k, v in now.items() if v is not None})
        with pytest.raises(UnauthorizedError):
            await provider.verify(token)


def unsigned_but_signed(issuer: Issuer, claims: dict[str, Any]) -> str:
    """Any claims, signed rightly: PyJWT would not write some of them."""
    key = issuer.keys[0]
    signer = jwt.PyJWS()
    return signer.encode(json.dumps(claims).encode(), key.private, algorithm=key.algorithm, headers={"kid": key.kid})


class TestAlgorithmConfusion:
    """The algorithm is the key's and ours to say, never the token's."""

    async def test_none_is_no_algorithm(self, issuer: Issuer, provider: IdentityProvider) -> None:
        """However it is written, signed or not; nothing is fetched for it."""
        for name in ("none", "None", "NONE", "nOnE", "", None, 7, ["none"]):
            header = {"typ": "JWT", "alg": name, "kid": "first"}
            for signature in (b"", b"x"):
                with pytest.raises(UnauthorizedError):
                    await provider.verify(unsigned(header, issuer.claims(), signature))
        assert issuer.asked == 0

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    async def test_a_public_key_is_no_shared_secret(
        self, issuer: Issuer, provider: IdentityProvider, algorithm: str
    ) -> None:
        """Signed by HMAC with the public key's own bytes, which everybody has."""
        issuer.keys = [Key("first", "RS256")]
        public = issuer.keys[0].private.public_key()
        for encoding, form in (
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        ):
            secret = public.public_bytes(encoding, form)
            token = by_hmac(secret, {"alg": algorithm, "kid": "first"}, issuer.claims())
            with pytest.raises(UnauthorizedError):
                await provider.verify(token)

    async def test_a_key_of_another_algorithm_is_not_used(self, issuer: Issuer, provider: IdentityProvider) -> None:
        """RS256 by the key of that name, which is for ES256."""
        forged = Key("first", "RS256")
        with pytest.raises(UnauthorizedError):
            await provider.verify(issuer.token(forged))

    async def test_a_shared_secret_among_the_keys_is_not_used(self, issuer: Issuer, clock: Hours) -> None:
        """Even if the provider publishes one."""
        secret = b"a shared secret that is long enough for it"
        jwk = {"kty": "oct", "kid": "s", "alg": "HS256", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}
        issuer.broken = 200, json.dumps({"keys": [jwk, issuer.keys[0].public]}).encode()
        provider = provider_of(issuer, clock)
        with pytest.raises(UnauthorizedError):
            await provider.verify(by_hmac(secret, {"alg": "HS256", "kid": "s"}, issuer.claims()))
        await provider.verify(issuer.token())

    async def test_one_that_the_settings_leave_out_is_refused(self, issuer: Issuer) -> None:
        """Though the key is the provider's."""
        with pytest.raises(UnauthorizedError):
            await provider_of(issuer, algorithms=("RS256",)).verify(issuer.token())


def by_hmac(secret: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token signed by HMAC: PyJWT itself refuses to sign with a public key."""
    import hmac  # noqa: PLC0415 - for this one forgery

    blank = unsigned(header, claims).rsplit(".", 1)[0]
    kind = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[header["alg"]]
    made = hmac.new(secret, blank.encode(), kind).digest()
    return f"{blank}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


class TestHeaderTricks:
    """Keys come from the provider, whatever a token's header offers."""

    @pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
    async def test_a_key_in_the_header_is_not_looked_at(
        self, issuer: Issuer, provider: IdentityProvider, name: str
    ) -> None:
        """Signed by somebody's own key, which the token brings along, or says where to fetch."""
        with running_issuer() as evil:
            evil.keys = [Key("first")]
            offered = {"jwk": evil.keys[0].public, "x5c": ["MIIB"]}.get(name, f"{evil.issuer}/keys")
            token = jwt.encode(
                issuer.claims(), evil.keys[0].private, algorithm="ES256", headers={"kid": "first", name: offered}
            )
            with pytest.raises(UnauthorizedError):
                await provider.verify(token)
            assert evil.asked == 0
        await provider.verify(issuer.token(headers={name: offered}))

    @pytest.mark.parametrize("kid", ["", "x" * 501, "../../etc/passwd", "' OR '1'='1", "first\x00", 7, None, ["first"]])
    async def test_an_odd_kid_names_no_key(self, issuer: Issuer, provider: IdentityProvider, kid: Any) -> None:
        """401."""
        token = unsigned({"alg": "ES256", "kid": kid}, issuer.claims(), b"x" * 64)
        with pytest.raises(UnauthorizedError):
            await provider.verify(token)

    async def test_a_critical_extension_that_nobody_knows_is_refused(
        self, issuer: Issuer, provider: IdentityProvider
    ) -> None:
        """RFC 7515 says so."""
        with pytest.raises(UnauthorizedError):
            await provider.verify(issuer.token(headers={"crit": ["exp-is-optional"], "exp-is-optional": True}))

    @pytest.mark.parametrize(
        "token", ["..", "a.b.c", "eyJ9.eyJ9.", "é.b.c", "a.b", "a.b.c.d", "." * 5_000, "[].[].[]", "bnVsbA.bnVsbA.eA"]
    )
    async def test_what_is_no_token_is_refused(self, provider: IdentityProvider, token: str) -> None:
        """Never a crash."""
        with pytest.raises(UnauthorizedError):
            await provider.verify(token)
        assert looks_like_jwt("a.b.c")

    async def test_a_changed_token_is_refused(self, issuer: Issuer, provider: IdentityProvider) -> None:
        """Another role under the same signature."""
        head, _, signature = issuer.token().split(".")
        changed = unsigned({}, issuer.claims(role="admin")).split(".")[1]
        with pytest.raises(UnauthorizedError):
            await provider.verify(f"{head}.{changed}.{signature}")


class TestKeys:
    """How keys come and go."""

    async def test_are_fetched_once_for_many(self, issuer: Issuer, provider: IdentityProvider) -> None:
        """And kept."""
        for _ in range(3):
            await provider.verify(issuer.token())
        assert issuer.asked == 1

    async def test_a_new_one_is_found_at_most_once_a_minute(
        self, issuer: Issuer, provider: IdentityProvider, clock: Hours
    ) -> None:
        """A stranger's kids make nobody ask more often."""
        await provider.verify(issuer.token())
        issuer.keys.append(Key("second"))
        for _ in range(3):
            with pytest.raises(UnauthorizedError):
                await provider.verify(issuer.token(issuer.keys[1]))
        assert issuer.asked == 1
        clock.now += 60
        await provider.verify(issuer.token(issuer.keys[1]))
        for n in range(5):
            with pytest.raises(UnauthorizedError):
                await provider.verify(issuer.token(Key(f"stranger-{n}")))
        assert issuer.asked == 2

    async def test_one_that_was_withdrawn_goes_within_the_hour(
        self, issuer: Issuer, provider: IdentityProvider, clock: Hours
    ) -> None:
        """What it has signed is refused then."""
        old = issuer.token()
        await provider.verify(old)
        issuer.keys = [Key("second")]
        clock.now += 3_601
        with pytest.raises(UnauthorizedError):
            await provider.verify(old)

    @pytest.mark.parametrize(
        "broken",
        [
            (500, b""),
            (200, b"<html>"),
            (200, b"[]"),
            (200, b'{"keys": []}'),
            (200, b'{"keys": [{"kty": "x"}]}'),
            (302, b""),
        ],
        ids=str,
    )
    async def test_a_bad_answer_leaves_them_as_they_are(
        self, issuer: Issuer, provider: IdentityProvider, clock: Hours, broken: tuple[int, bytes]
    ) -> None:
        """People are let in all the same; and the next good answer counts."""
        await provider.verify(issuer.token())
        clock.now += 3_601
        issuer.broken = broken
        await provider.verify(issuer.token())
        assert issuer.asked == 2
        issuer.broken, issuer.keys = None, [*issuer.keys, Key("second")]
        clock.now += 60
        await provider.verify(issuer.token(issuer.keys[1]))

    async def test_without_any_it_says_that_it_cannot_tell(
        self, issuer: Issuer, provider: IdentityProvider, clock: Hours
    ) -> None:
        """503, and a minute later it looks again."""
        issuer.broken = 500, b""
        with pytest.raises(KeysUnreachableError):
            await provider.verify(issuer.token())
        issuer.broken = None
        clock.now += 60
        await provider.verify(issuer.token())

    async def test_discovery_of_another_issuer_is_not_believed(
        self, issuer: Issuer, provider: IdentityProvider
    ) -> None:
        """It must speak for the one that the settings name."""
        issuer.discovered = {"issuer": "https://evil.example", "jwks_uri": f"{issuer.issuer}/keys"}
        with pytest.raises(KeysUnreachableError):
            await provider.verify(issuer.token())
        assert issuer.asked == 0

    async def test_may_be_where_the_settings_say(self, issuer: Issuer) -> None:
        """Without discovery."""
        issuer.discovered = {}
        await provider_of(issuer, jwks_url=f"{issuer.issuer}/keys").verify(issuer.token())
