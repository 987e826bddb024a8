"""Tokens: one table of forgeries, each refused; and the few ways in which a token may be good."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bookstore.service.problem import Problem
from bookstore.service.tokens import OPERATOR, Access, Key, TokenRefused, Verifier, read_keys

ALGORITHMS = {
    "EdDSA": jwt.algorithms.OKPAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
}
PRIVATE = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
STRANGER = ed25519.Ed25519PrivateKey.generate()


def public_jwk(private, algorithm, **extra):
    return {**json.loads(ALGORITHMS[algorithm].to_jwk(private.public_key())), "kid": algorithm, **extra}


JWKS = {name: public_jwk(private, name, alg=name, use="sig") for name, private in PRIVATE.items()}


class Published:
    """Keys that a test can take away."""

    def __init__(self):
        self.keys = read_keys(json.dumps({"keys": list(JWKS.values())}).encode())

    async def find(self, kid):
        return self.keys.get(kid)


@pytest.fixture
def published():
    return Published()


@pytest.fixture
def verifier(published):
    return Verifier(published)


def claims(**changed):
    now = int(time.time())
    made = {
        "iss": "bookstore-accounts",
        "aud": "bookstore",
        "sub": "7",
        "jti": "j",
        "iat": now,
        "exp": now + 3600,
        "roles": ["customer"],
        "customer_id": 3,
        **changed,
    }
    return {name: value for name, value in made.items() if value is not ...}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload=None, *, algorithm="EdDSA", private=None, **header):
    """A token made by hand, so that nothing is too wrong to be made."""
    head = {"alg": algorithm, "kid": algorithm, "typ": "at+jwt", **header}
    head = {name: value for name, value in head.items() if value is not ...}
    body = payload if isinstance(payload, bytes) else json.dumps(payload or claims()).encode()
    part = f"{b64(json.dumps(head).encode())}.{b64(body)}"
    tool = jwt.get_algorithm_by_name(algorithm)
    return f"{part}.{b64(tool.sign(part.encode(), private or PRIVATE[algorithm]))}"


def with_secret(secret, **header):
    head = {"alg": "HS256", "kid": "EdDSA", "typ": "JWT", **header}
    part = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims()).encode())}"
    return f"{part}.{b64(hmac.digest(secret, part.encode(), hashlib.sha256))}"


def unsigned(algorithm):
    head = {"alg": algorithm, "kid": "EdDSA", "typ": "JWT"}
    return f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims()).encode())}."


def pem(private):
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def raw(private):
    return private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def tampered():
    head, _, signature = signed().split(".")
    return f"{head}.{b64(json.dumps(claims(sub='1', roles=['ops'])).encode())}.{signature}"


HOUR = 3600
NOW = int(time.time())
FORGED = {
    "nothing": "",
    "no token": "abc",
    "two parts": "a.b",
    "four parts": signed() + ".x",
    "five parts, encrypted": "a.b.c.d.e",
    "dots": "..",
    "not base64": "!.!.!",
    "header is no JSON": b64(b"{") + "." + b64(b"{}") + ".x",
    "header is a list": b64(b"[]") + "." + b64(b"{}") + ".x",
    "header is deep": b64(b"[" * 3000) + "." + b64(b"{}") + ".x",
    "huge": signed(claims(jti="x" * 9000)),
    "none": unsigned("none"),
    "None": unsigned("None"),
    "NONE": unsigned("NONE"),
    "empty algorithm": unsigned(""),
    "none, but signed": signed(alg="none"),
    "no algorithm": signed(alg=...),
    "algorithm is a number": signed(alg=1),
    "HS256 with the public key as PEM": with_secret(pem(PRIVATE["EdDSA"])),
    "HS256 with the public key's bytes": with_secret(raw(PRIVATE["EdDSA"])),
    "HS256 with the RSA key as PEM": with_secret(pem(PRIVATE["RS256"]), kid="RS256"),
    "HS256 with the JWK": with_secret(json.dumps(JWKS["EdDSA"]).encode()),
    "HS256 with an empty secret": with_secret(b""),
    "RS256 said of an EdDSA key": signed(alg="RS256"),
    "PS256 with the RSA key": signed(algorithm="RS256", alg="PS256"),
    "RSA key under the EdDSA key's name": signed(algorithm="RS256", kid="EdDSA"),
    "EdDSA said of the RSA key": signed(kid="RS256"),
    "another's key": signed(private=STRANGER),
    "another's key, brought along": signed(private=STRANGER, jwk=public_jwk(STRANGER, "EdDSA")),
    "our key, brought along": signed(jwk=JWKS["EdDSA"]),
    "key by address": signed(private=STRANGER, jku="http://evil.example/jwks.json"),
    "certificates": signed(x5c=["MII"]),
    "certificates by address": signed(x5u="http://evil.example/"),
    "critical extension": signed(crit=["exp"], exp=1),
    "detached payload": signed(b64=False, crit=["b64"]),
    "zipped": signed(zip="DEF"),
    "another type": signed(typ="logout+jwt"),
    "no kid": signed(kid=...),
    "unknown kid": signed(kid="other"),
    "kid is a path": signed(kid="../../dev/null"),
    "kid is SQL": signed(kid="x' UNION SELECT 'k"),
    "kid is a number": signed(kid=1),
    "kid is a list": signed(kid=["EdDSA"]),
    "tampered claims": tampered(),
    "no signature": signed().rpartition(".")[0] + ".",
    "half a signature": signed()[:-20],
    "claims are a list": signed(b"[]"),
    "claims are no JSON": signed(b"{"),
    "claims are no UTF-8": signed(b'{"a":"\xff"}'),
    "expired": signed(claims(exp=NOW - 1)),
    "expired just now": signed(claims(exp=NOW)),
    "expired long ago": signed(claims(exp=0)),
    "not yet": signed(claims(nbf=NOW + HOUR)),
    "issued in an hour": signed(claims(iat=NOW + HOUR, exp=NOW + 2 * HOUR)),
    "exp is text": signed(claims(exp="soon")),
    "exp is infinite": signed(json.dumps(claims(exp=float("inf"))).encode()),
    "exp is a list": signed(claims(exp=[NOW + HOUR])),
    "another audience": signed(claims(aud="somebody")),
    "audience among others": signed(claims(aud=["bookstore", "somebody"])),
    "another issuer": signed(claims(iss="http://evil.example")),
    "issuers": signed(claims(iss=["bookstore-accounts"])),
    "sub is a number": signed(claims(sub=7)),
    "roles are text": signed(claims(roles="ops")),
    "no roles": signed(claims(roles=...)),
    "customer_id is text": signed(claims(customer_id="3")),
    **{f"no {name}": signed(claims(**{name: ...})) for name in ("iss", "aud", "exp", "iat", "sub", "jti")},
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_refused(verifier, token):
    for _ in range(2):
        with pytest.raises(TokenRefused) as refused:
            await verifier.verify(token)
        assert refused.value.status == 401
        assert "invalid_token" in refused.value.headers["WWW-Authenticate"]


@pytest.mark.parametrize("algorithm", PRIVATE)
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
    ids=str,
)
def test_a_key_that_is_none_of_ours_is_left_out(jwk):
    good = {**JWKS["ES256"], "kid": "good"}
    assert read_keys(json.dumps({"keys": [jwk, good]}).encode()).keys() == {"good"}


def test_of_two_keys_with_one_name_the_first_counts():
    other = public_jwk(STRANGER, "EdDSA")
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
        bearer(unsigned("none")),
    ],
)
async def test_a_bad_token_is_refused_even_where_none_is_needed(verifier, required, headers):
    with pytest.raises(TokenRefused):
        await Access(verifier, required=required).caller(headers)


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
