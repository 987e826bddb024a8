"""Tokens that must be refused, whoever verifies them: one table for all services."""

import hashlib
import hmac
import json
import secrets
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from bookstore.service.testing.issuer import LIFE, Issuer, b64, encoded, public_jwk

_STRANGER = ed25519.Ed25519PrivateKey.generate()
_DEEP = 3000


def forgeries(issuer: Issuer) -> dict[str, str]:
    """Each forged token by what is wrong with it; nothing else is."""
    return {
        **_malformed(issuer),
        **_unsigned(issuer),
        **_signed_with_the_public_key(issuer),
        **_with_another_key(issuer),
        **_with_a_strange_header(issuer),
        **_with_bad_claims(issuer),
    }


def _malformed(issuer: Issuer) -> dict[str, str]:
    good = issuer.token()
    head, body, signature = good.split(".")
    boast = encoded(issuer.claims(sub="1", roles=["ops"]))
    return {
        "no token": "abc",
        "padded": f"{good}==",
        "two parts": "a.b",
        "four parts": f"{good}.x",
        "five parts, encrypted": "a.b.c.d.e",
        "dots": "..",
        "header is no JSON": f"{b64(b'{')}.{body}.x",
        "header is a list": f"{b64(b'[]')}.{body}.x",
        "header is deep": f"{b64(b'[' * _DEEP)}.{body}.x",
        "huge": issuer.token(issuer.claims(jti="x" * 9000)),
        "a refresh token": secrets.token_urlsafe(32),
        "tampered claims": f"{head}.{boast}.{signature}",
        "no signature": f"{head}.{body}.",
        "half a signature": good[:-20],
        "claims are a list": issuer.token(b"[]"),
        "claims are no JSON": issuer.token(b"{"),
        "claims are no UTF-8": issuer.token(b'{"a":"\xff"}'),
    }


def _unsigned(issuer: Issuer) -> dict[str, str]:
    def unsigned(algorithm: str) -> str:
        head = {"alg": algorithm, "kid": issuer.kids["EdDSA"], "typ": "JWT"}
        return f"{encoded(head)}.{encoded(issuer.claims())}."

    return {
        "none": unsigned("none"),
        "None": unsigned("None"),
        "NONE": unsigned("NONE"),
        "empty algorithm": unsigned(""),
        "none, but signed": issuer.token(alg="none"),
        "no algorithm": issuer.token(alg=...),
        "algorithm is a number": issuer.token(alg=1),
    }


def _signed_with_the_public_key(issuer: Issuer) -> dict[str, str]:
    def with_secret(secret: bytes, algorithm: str = "EdDSA") -> str:
        head = {"alg": "HS256", "kid": issuer.kids[algorithm], "typ": "JWT"}
        part = f"{encoded(head)}.{encoded(issuer.claims())}"
        return f"{part}.{b64(hmac.digest(secret, part.encode(), hashlib.sha256))}"

    def pem(algorithm: str) -> bytes:
        return (
            issuer.private[algorithm]
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    jwk = issuer.jwk("EdDSA", alg="EdDSA", use="sig")
    return {
        "HS256 with the public key as PEM": with_secret(pem("EdDSA")),
        "HS256 with the public key's bytes": with_secret(
            issuer.private["EdDSA"].public_key().public_bytes_raw()
        ),
        "HS256 with the RSA key as PEM": with_secret(pem("RS256"), "RS256"),
        "HS256 with the JWK": with_secret(json.dumps(jwk).encode()),
        "HS256 with the JWK's x": with_secret(jwk["x"].encode()),
        "HS256 with an empty secret": with_secret(b""),
    }


def _with_another_key(issuer: Issuer) -> dict[str, str]:
    kids = issuer.kids
    return {
        "RS256 said of an EdDSA key": issuer.token(alg="RS256"),
        "PS256 with the RSA key": issuer.token(algorithm="RS256", alg="PS256"),
        "RSA key under the EdDSA key's name": issuer.token(algorithm="RS256", kid=kids["EdDSA"]),
        "EdDSA said of the RSA key": issuer.token(kid=kids["RS256"]),
        "another's key": issuer.token(private=_STRANGER),
        "no kid": issuer.token(kid=...),
        "unknown kid": issuer.token(kid="other"),
        "kid is a path": issuer.token(kid="../../dev/null"),
        "kid is SQL": issuer.token(kid="x' UNION SELECT 'k"),
        "kid is a number": issuer.token(kid=1),
        "kid is a list": issuer.token(kid=[kids["EdDSA"]]),
    }


def _with_a_strange_header(issuer: Issuer) -> dict[str, str]:
    own = {"kid": issuer.kids["EdDSA"], **public_jwk(_STRANGER, "EdDSA")}
    return {
        "another's key, brought along": issuer.token(private=_STRANGER, jwk=own),
        "our key, brought along": issuer.token(jwk=issuer.jwk("EdDSA")),
        "key by address": issuer.token(private=_STRANGER, jku="http://evil.example/jwks.json"),
        "certificates": issuer.token(x5c=["MII"]),
        "certificates by address": issuer.token(x5u="http://evil.example/"),
        "critical extension": issuer.token(crit=["exp"], exp=1),
        "detached payload": issuer.token(b64=False, crit=["b64"]),
        "zipped": issuer.token(zip="DEF"),
        "another type": issuer.token(typ="logout+jwt"),
    }


def _with_bad_claims(issuer: Issuer) -> dict[str, str]:
    now = int(time.time())
    infinite = json.dumps(issuer.claims(exp=float("inf"))).encode()
    changes: dict[str, dict[str, object]] = {
        "expired": {"exp": now - 1},
        "expired just now": {"exp": now},
        "expired long ago": {"exp": 0},
        "not yet": {"nbf": now + LIFE},
        "issued in an hour": {"iat": now + LIFE, "exp": now + 2 * LIFE},
        "exp is text": {"exp": "soon"},
        "exp is a list": {"exp": [now + LIFE]},
        "another audience": {"aud": "somebody"},
        "audience among others": {"aud": ["bookstore", "somebody"]},
        "another issuer": {"iss": "http://evil.example"},
        "issuers": {"iss": ["bookstore"]},
        "sub is a number": {"sub": 7},
        "roles are text": {"roles": "ops"},
        "no roles": {"roles": ...},
        "customer_id is text": {"customer_id": "3"},
        **{f"no {name}": {name: ...} for name in ("iss", "aud", "exp", "iat", "sub", "jti")},
    }
    made = {name: issuer.token(issuer.claims(**changed)) for name, changed in changes.items()}
    return {**made, "exp is infinite": issuer.token(infinite)}
