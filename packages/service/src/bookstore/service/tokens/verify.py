"""Whether a token is good: one place, the same for every service."""

import re
from collections import OrderedDict
from time import time
from typing import Any, Protocol

import jwt
import msgspec

from bookstore.service.problem import Problem
from bookstore.service.tokens.key import Key

ISSUER = "bookstore"
AUDIENCE = "bookstore"

LONGEST = 8192
"""Characters that a token may have; ours have about 500."""

_LEEWAY = 10
"""Seconds by which the clocks of two machines may differ where a token isn't good yet; its end is its end."""

_COMPACT = re.compile(r"(?:[A-Za-z0-9_-]+\.){2}[A-Za-z0-9_-]*")
"""RFC 7515, 2 and 3.1: no padding, and nothing that a reader of base64 would skip."""
_HEADER = frozenset({"alg", "kid", "typ"})
_TYPES = frozenset({"jwt", "at+jwt"})
_REQUIRED = ("iss", "aud", "exp", "iat", "sub", "jti")
_REMEMBERED = 4096


class Claims(msgspec.Struct, frozen=True):
    """What a token says; further claims are nobody's business here."""

    sub: str
    jti: str
    exp: int
    roles: list[str]
    customer_id: int | None = None
    scope: str = ""


class KeySource(Protocol):
    """Where a verifier finds keys."""

    async def find(self, kid: str) -> Key | None:
        """The published key of that name."""
        ...

    def known(self, kid: str) -> Key | None:
        """The same, as far as it is known without asking anybody."""
        ...


class TokenRefused(Problem):
    """A token that isn't good. Its bearer isn't told why; `cause` is for logs."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            401,
            "invalid-token",
            "the token is not valid, or not any more",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
        self.cause = cause

    def __str__(self) -> str:
        return self.cause


class Verifier:
    """Verifies tokens of one issuer for one audience.

    A token that was found good is remembered until it ends or its key is no longer published, because
    the same one comes with each request of its bearer.
    """

    def __init__(self, keys: KeySource, *, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._good: OrderedDict[str, tuple[Key, Claims]] = OrderedDict()

    async def verify(self, token: str) -> Claims:
        """What a good token says.

        Raises:
            TokenRefused: if it isn't good.
            Problem: 503 if no keys could be had yet to tell.
        """
        known = self._good.get(token)
        if known is not None:
            key, claims = known
            if claims.exp > time() and await self._keys.find(key.kid) is key:
                return claims
            self._good.pop(token, None)
        key = await self._key(token)
        claims = self._claims(token, key)
        self._good[token] = key, claims
        if len(self._good) > _REMEMBERED:
            self._good.popitem(last=False)
        return claims

    def remembered(self, token: str) -> Claims | None:
        """What a token says that was found good before and still is, if that needs no waiting."""
        known = self._good.get(token)
        if known is None:
            return None
        key, claims = known
        return claims if claims.exp > time() and self._keys.known(key.kid) is key else None

    async def _key(self, token: str) -> Key:
        if len(token) > LONGEST or not _COMPACT.fullmatch(token):
            raise TokenRefused("it is no token")
        try:
            header: dict[str, Any] = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused("its header can't be read") from error
        # Nothing that could bring a key along (jwk, jku, x5c, x5u) or ask for more (crit, b64, zip).
        if not header.keys() <= _HEADER or str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise TokenRefused("its header has more than alg, kid and typ")
        kid = header.get("kid")
        key = await self._keys.find(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused("its key is none that is published")
        if header.get("alg") != key.algorithm:
            raise TokenRefused("its algorithm isn't its key's")
        return key

    def _claims(self, token: str, key: Key) -> Claims:
        try:
            found = jwt.decode(
                token,
                key.public,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY,
                options={"require": list(_REQUIRED), "strict_aud": True},
            )
            claims = msgspec.convert(found, Claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenRefused(str(error)) from error
        if claims.exp <= time():
            raise TokenRefused("it has expired")
        return claims
