"""Signing keys without I/O: making, sealing, signing; and which key does what at a given time."""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, cast

import jwt
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Algorithm: TypeAlias = Literal["EdDSA", "ES256", "RS256"]
Private: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
State: TypeAlias = Literal["next", "signing", "old", "gone"]

LINGER = timedelta(minutes=65)
"""For how long a key is published after it signed last: longer than any access token may live."""

_NONCE = 12


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept."""

    kid: str
    algorithm: Algorithm
    public: dict[str, str]
    private: bytes
    sealed: bool
    created_at: datetime
    signs_from: datetime
    published_until: datetime | None

    def published(self, now: datetime) -> bool:
        """Whether verifiers are told of it."""
        return self.published_until is None or now < self.published_until


class KeyLocked(Exception):
    """A private key can't be opened with the secret at hand."""


def signing(keys: Sequence[SigningKey], now: datetime) -> SigningKey | None:
    """The key that signs: of those that may, the one that came last."""
    able = [key for key in keys if key.signs_from <= now and key.published(now)]
    return max(able, key=lambda key: (key.signs_from, key.kid), default=None)


def state(key: SigningKey, keys: Sequence[SigningKey], now: datetime) -> State:
    """What a key does at a time."""
    if not key.published(now):
        return "gone"
    if key.signs_from > now:
        return "next"
    return "signing" if key is signing(keys, now) else "old"


class Safe:
    """Closes and opens private keys; without a secret they lie open.

    AES-256-GCM under a key that is derived from the secret; bound to the key's name, so that one row's
    content can't stand in for another's.
    """

    def __init__(self, secret: str) -> None:
        self._cipher: AESGCM | None = None
        if secret:
            derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"bookstore accounts signing keys")
            self._cipher = AESGCM(derived.derive(secret.encode()))

    @property
    def locks(self) -> bool:
        """Whether what it closes is encrypted."""
        return self._cipher is not None

    def close(self, kid: str, private: Private) -> bytes:
        """What to keep of a private key."""
        plain = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        if self._cipher is None:
            return plain
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, kid.encode())

    def open(self, key: SigningKey) -> Private:
        """The private key.

        Raises:
            KeyLocked: if the secret is missing, or another one.
        """
        content = key.private
        if key.sealed:
            if self._cipher is None:
                raise KeyLocked(f"key {key.kid} is encrypted; set ACCOUNTS_KEY_SECRET to what it was then")
            try:
                content = self._cipher.decrypt(content[:_NONCE], content[_NONCE:], key.kid.encode())
            except InvalidTag:
                raise KeyLocked(f"ACCOUNTS_KEY_SECRET doesn't open key {key.kid}") from None
        return cast("Private", serialization.load_der_private_key(content, password=None))


def make(algorithm: Algorithm, safe: Safe, *, now: datetime, signs_from: datetime) -> SigningKey:
    """A new key; its name is its thumbprint (RFC 7638)."""
    private = _generate(algorithm)
    members = _members(private, algorithm)
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    kid = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    return SigningKey(
        kid=kid,
        algorithm=algorithm,
        public={**members, "kid": kid, "alg": algorithm, "use": "sig"},
        private=safe.close(kid, private),
        sealed=safe.locks,
        created_at=now,
        signs_from=signs_from,
        published_until=None,
    )


def _generate(algorithm: Algorithm) -> Private:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return ed25519.Ed25519PrivateKey.generate()


def _members(private: Private, algorithm: Algorithm) -> dict[str, str]:
    tool: Any = jwt.get_algorithm_by_name(algorithm)
    jwk = cast("dict[str, str]", tool.to_jwk(private.public_key(), as_dict=True))
    return {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}


def signed(claims: dict[str, Any], key: SigningKey, private: Private) -> str:
    """A token with these claims."""
    return jwt.encode(claims, private, algorithm=key.algorithm, headers={"kid": key.kid, "typ": "at+jwt"})
