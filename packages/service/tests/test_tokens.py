"""Tokens: one table of forgeries, each refused; and the few ways in which a token may be good."""

import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from bookstore.service.problem import Problem
from bookstore.service.testing import Issuer, forgeries
from bookstore.service.testing.issuer import public_jwk
from bookstore.service.tokens import OPERATOR, SERVICE, Access, Key, TokenRefused, Verifier, read_keys

ISSUER = Issuer()
JWKS = {name: ISSUER.jwk(name, alg=name, use="sig") for name in ISSUER.private}
STRANGER = ed25519.Ed25519PrivateKey.generate()
NOW = int(time.time())

signed = ISSUER.token
claims = ISSUER.claims


class Published:
    """Keys that a test can take away."""

    def __init__(self):
        self.keys = read_keys(ISSUER.document)

    async def find(self, kid):
        return self.known(kid)

    def known(self, kid):
        return self.keys.get(kid)


@pytest.fixture
def published():
    return Published()


@pytest.fixture
def verifier(published):
    return Verifier(published)


FORGED = {"nothing": "", "not base64": "!.!.!", **forgeries(ISSUER)}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_refused(verifier, token):
    for _ in range(2):
        with pytest.raises(TokenRefused) as refused:
            await verifier.verify(token)
        assert refused.value.status == 401
        assert "invalid_token" in refused.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("algorithm", ISSUER.private)
async def test_a_good_token_says_who_asks(verifier, algorithm):
    said = await verifier.verify(signed(algorithm=algorithm))
    assert (said.sub, said.customer_id, said.roles) == ("7", 3, ["customer"])


@pytest.mark.parametrize(
    "token",
    [
        signed(typ="JWT"),
        signed(typ=...),
        signed(claims(customer_id=None)),
        signed(claims(customer_id=...)),
        signed(claims(iat=NOW + 5, nbf=NOW + 5)),
        signed(claims(scope="x", more={"a": 1})),
    ],
    ids=["JWT", "no type", "null customer", "no customer", "a clock ahead", "more claims"],
)
async def test_what_a_good_token_may_be(verifier, token):
    assert (await verifier.verify(token)).sub == "7"


async def test_a_known_token_ends_with_its_time_and_with_its_key(verifier, published, monkeypatch):
    token = signed()
    said = await verifier.verify(token)
    assert await verifier.verify(token) is said
    with monkeypatch.context() as later:
        later.setattr("bookstore.service.tokens.verify.time", lambda: time.time() + 3601)
        with pytest.raises(TokenRefused):
            await verifier.verify(token)
    token = signed()
    await verifier.verify(token)
    del published.keys["EdDSA"]
    with pytest.raises(TokenRefused):
        await verifier.verify(token)


async def test_only_so_many_tokens_are_remembered(verifier, monkeypatch):
    monkeypatch.setattr("bookstore.service.tokens.verify._REMEMBERED", 2)
    for number in range(5):
        await verifier.verify(signed(claims(jti=str(number))))
    assert len(verifier._good) == 2


async def test_a_token_is_remembered_until_it_ends_or_its_key_is_gone(verifier, published, monkeypatch):
    ends = int(time.time()) + 600
    token = signed(claims(exp=ends))
    access, header = Access(verifier, required=True), b"Bearer " + token.encode()
    assert access.remembered(header) is None  # nobody has shown it yet
    caller = await access.caller([(b"authorization", header)])
    assert access.remembered(header) is caller
    keys, published.keys = published.keys, {}
    assert access.remembered(header) is None
    published.keys = keys
    monkeypatch.setattr("bookstore.service.tokens.verify.time", lambda: ends)
    assert access.remembered(header) is None


RSA_1024 = {"kty": "RSA", "kid": "k", "n": "A" * 171, "e": "AQAB"}


@pytest.mark.parametrize(
    "jwk",
    [
        {**JWKS["EdDSA"], "kid": ""},
        {**JWKS["EdDSA"], "kid": 1},
        {**JWKS["EdDSA"], "kty": "oct"},
        {**JWKS["EdDSA"], "kty": ["OKP"]},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256"},
        {**JWKS["EdDSA"], "crv": "X25519"},
        {**JWKS["EdDSA"], "crv": "Ed448"},
        {**JWKS["EdDSA"], "x": "AAAA"},
        {**JWKS["EdDSA"], "x": 1},
        {**JWKS["EdDSA"], "alg": "HS256"},
        {**JWKS["EdDSA"], "alg": "none"},
        {**JWKS["RS256"], "alg": "PS256"},
        {**JWKS["EdDSA"], "use": "enc"},
        {**JWKS["EdDSA"], "key_ops": ["sign"]},
        {**JWKS["EdDSA"], "key_ops": 1},
        {**JWKS["EdDSA"], "d": "c2VjcmV0"},
        RSA_1024,
    ],
)
def test_a_key_that_is_none_of_ours_is_left_out(jwk):
    good = {**JWKS["ES256"], "kid": "good"}
    assert read_keys(json.dumps({"keys": [jwk, good]}).encode()).keys() == {"good"}


def test_of_two_keys_with_one_name_the_first_counts():
    other = {**public_jwk(STRANGER, "EdDSA"), "kid": "EdDSA"}
    [key] = read_keys(json.dumps({"keys": [JWKS["EdDSA"], other]}).encode()).values()
    assert key.same_as(Key(JWKS["EdDSA"]))
    assert not key.same_as(Key(other))


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[1]}', b" " * 70_000])
def test_what_is_no_key_set_is_said_so(document):
    with pytest.raises(ValueError):
        read_keys(document)


def bearer(token, scheme="Bearer"):
    return [(b"x-user-id", b"1"), (b"authorization", f"{scheme} {token}".encode())]


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_a_caller_is_who_the_token_says(verifier, required, scheme):
    caller = await Access(verifier, required=required).caller(bearer(signed(), scheme))
    assert (caller.user_id, caller.customer_id, caller.roles) == (7, 3, {"customer"})
    caller.require("staff", "customer")
    with pytest.raises(Problem) as refused:
        caller.require("staff", "ops")
    assert refused.value.status == 403


async def test_what_a_token_was_asked_for_beside_its_roles(verifier):
    access = Access(verifier, required=True)
    assert (await access.caller(bearer(signed()))).scopes == frozenset()
    assert (await access.caller(bearer(signed(claims(scope="ops  load"))))).scopes == {"ops", "load"}


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "headers",
    [
        bearer(""),
        bearer("x", "Basic"),
        bearer(signed(), "Token"),
        bearer(f"{signed()} {signed()}"),
        bearer(signed() + "\x00"),
        bearer(signed()) * 2,
        bearer(signed(claims(sub="0"))),
        bearer(signed(claims(sub="ops"))),
        bearer(signed(claims(sub="9" * 19))),
        bearer(signed(claims(sub="\u0667"))),
        bearer(FORGED["none"]),
    ],
)
async def test_a_bad_token_is_refused_even_where_none_is_needed(verifier, required, headers):
    with pytest.raises(TokenRefused):
        await Access(verifier, required=required).caller(headers)


SECRET = "s3rv1ce-" * 4


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("scheme", ["Service", "service", "SERVICE "])
async def test_who_knows_the_secret_is_a_service(verifier, required, scheme):
    access = Access(verifier, required=required, service_secret=SECRET)
    assert await access.caller(bearer(SECRET, scheme)) is SERVICE


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("known", "headers"),
    [
        ("", bearer("", "Service")),
        ("", bearer(SECRET, "Service")),
        (SECRET, bearer("", "Service")),
        (SECRET, bearer(SECRET[:-1], "Service")),
        (SECRET, bearer(f"{SECRET}x", "Service")),
        (SECRET, bearer(SECRET.upper(), "Service")),
        (SECRET, bearer(f"{SECRET} {SECRET}", "Service")),
        (SECRET, bearer(SECRET, "Bearer")),
        (SECRET, bearer(SECRET, "Basic")),
        (SECRET, bearer(signed(), "Service")),
        (SECRET, bearer(SECRET, "Service") * 2),
        (SECRET, bearer(SECRET, "Service") + bearer(signed())),
    ],
)
async def test_who_doesnt_is_refused(verifier, required, known, headers):
    with pytest.raises(TokenRefused):
        await Access(verifier, required=required, service_secret=known).caller(headers)


async def test_no_token_makes_its_bearer_a_service(verifier):
    access = Access(verifier, required=True, service_secret=SECRET)
    caller = await access.caller(bearer(signed(claims(roles=["service", "staff"]))))
    assert caller.roles == {"staff"}


@pytest.mark.parametrize("headers", [[], [(b"x-user-id", b"1"), (b"x-user-roles", b"ops")]])
async def test_without_a_token(verifier, headers):
    assert await Access(verifier, required=False).caller(headers) is OPERATOR
    for access, needed in (
        (Access(verifier, required=True), False),
        (Access(verifier, required=False), True),
    ):
        with pytest.raises(Problem) as refused:
            await access.caller(headers, required=needed)
        assert refused.value.status == 401
        assert refused.value.headers["WWW-Authenticate"] == "Bearer"
