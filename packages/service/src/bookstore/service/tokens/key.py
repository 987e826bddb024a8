"""Published keys: what a key set (RFC 7517) holds that we can use, each key with its one algorithm."""

import logging
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec

logger = logging.getLogger(__name__)

LONGEST = 65_536
"""Bytes that a key set may have."""

_SHORTEST_RSA = 342
"""Characters of a modulus of 2048 bits in base64url."""

_PUBLIC = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}
_ALGORITHMS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("RSA", ""): "RS256"}


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class Key:
    """A public key, and the only algorithm that it is used with."""

    __slots__ = ("algorithm", "kid", "numbers", "public")

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        """Read one key of a set.

        Raises:
            ValueError: if it is none that we use.
        """
        kid, kind = jwk.get("kid"), jwk.get("kty")
        if not isinstance(kid, str) or not kid:
            raise ValueError("it has no kid")
        if not isinstance(kind, str) or kind not in _PUBLIC:
            raise ValueError("its kty is none that we use")
        algorithm = _ALGORITHMS.get((kind, "" if kind == "RSA" else str(jwk.get("crv"))))
        if algorithm is None or jwk.get("alg", algorithm) != algorithm:
            raise ValueError("its algorithm is none that we use")
        if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
            raise ValueError("it is not for signatures")
        if "d" in jwk:
            raise ValueError("it is private: whoever publishes it must replace it")
        if kind == "RSA" and len(str(jwk.get("n")).rstrip("=")) < _SHORTEST_RSA:
            raise ValueError("it has less than 2048 bits")
        plain = {"kty": kind, **{name: jwk.get(name) for name in _PUBLIC[kind]}}
        try:
            self.public = jwt.PyJWK(plain, algorithm=algorithm)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise ValueError("its numbers make no key") from error
        self.kid = kid
        self.algorithm = algorithm
        self.numbers = plain

    def same_as(self, other: "Key") -> bool:
        """Whether both are the same key under the same name."""
        return (self.kid, self.numbers) == (other.kid, other.numbers)


def read_keys(document: bytes) -> dict[str, Key]:
    """The keys of a set by `kid`; those that we can't use are left out, and the log tells why.

    Raises:
        ValueError: if it is no key set.
    """
    if len(document) > LONGEST:
        raise ValueError("the key set is too long")
    found: dict[str, Key] = {}
    for jwk in msgspec.json.decode(document, type=_KeySet).keys:
        try:
            key = Key(jwk)
        except (ValueError, TypeError) as error:
            logger.warning("left out a key", extra={"kid": str(jwk.get("kid"))[:64], "cause": str(error)})
        else:
            found.setdefault(key.kid, key)
    return found
