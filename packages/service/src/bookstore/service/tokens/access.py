"""From a request's headers to the one who asks."""

import hmac
import re
from collections.abc import Iterable

import msgspec

from bookstore.service.problem import Problem
from bookstore.service.tokens.verify import Claims, TokenRefused, Verifier

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]+) *", re.IGNORECASE)
_SERVICE = re.compile(rb"service +([!-~]+) *", re.IGNORECASE)
_USER = re.compile(r"[1-9][0-9]{0,17}")
_REMEMBERED = 4096


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks.

    `user_id` is None for the operator, who came without a token where none is required, and for a service.
    """

    user_id: int | None
    customer_id: int | None
    roles: frozenset[str]
    scopes: frozenset[str] = frozenset()
    """What the token was asked for beside that (RFC 6749, 3.3)."""

    def is_any(self, *roles: str) -> bool:
        """Whether the caller has one of these roles."""
        return not self.roles.isdisjoint(roles)

    def require(self, *roles: str) -> None:
        """Go on only with one of these roles.

        Raises:
            Problem: 403 without.
        """
        if not self.is_any(*roles):
            raise Problem(403, "forbidden", f"this needs the role {' or '.join(roles)}")


OPERATOR = Caller(user_id=None, customer_id=None, roles=frozenset({"staff", "ops", "service"}))
"""Whoever comes without a token where none is required: sees and does everything."""

SERVICE = Caller(user_id=None, customer_id=None, roles=frozenset({"service"}))
"""Another service of ours, on nobody's behalf but its own."""


class _Unauthenticated(Problem):
    def __init__(self) -> None:
        headers = {"WWW-Authenticate": "Bearer"}
        super().__init__(401, "unauthenticated", "this needs a bearer token", headers=headers)


class Access:
    """Tells who asks.

    Args:
        verifier: Of people's tokens.
        required: Whether nobody gets by without a token.
        service_secret: What our services know, and nobody else; empty where no service may come as one.
    """

    def __init__(self, verifier: Verifier, *, required: bool, service_secret: str = "") -> None:
        self._verifier = verifier
        self.required = required
        self._service_secret = service_secret.encode()
        self._known: dict[bytes, tuple[str, Claims, Caller]] = {}

    async def caller(self, headers: Iterable[tuple[bytes, bytes]], *, required: bool = False) -> Caller:
        """Who sent a request with these (ASGI) headers.

        Nothing but the header Authorization counts: no `X-User-*` header, no cookie, no query. It holds a
        person's token (`Bearer`) or the services' secret (`Service`), and is looked at even where none is
        required. No token makes its bearer a service, whatever it says.

        Args:
            headers: The request's, names in lower case.
            required: Whether this request needs a token in any case.

        Raises:
            Problem: 401 without a token where one is required, and for one that isn't good.
        """
        given = [value for name, value in headers if name == b"authorization"]
        if not given:
            if required or self.required:
                raise _Unauthenticated
            return OPERATOR
        if len(given) > 1:
            raise TokenRefused("there are two headers Authorization")
        if service := _SERVICE.fullmatch(given[0]):
            return self._service(service[1])
        return await self._person(given[0])

    def known(self, header: bytes | None) -> Caller | None:
        """Who comes with this header Authorization, or without any, if that is known without waiting.

        None says nothing but that `caller` has to be asked.
        """
        if header is None:
            return None if self.required else OPERATOR
        return self.remembered(header)

    def remembered(self, header: bytes) -> Caller | None:
        """Who shows this token, if it is the very header that was read before and is still good.

        None says nothing but that `caller` has to be asked.
        """
        known = self._known.get(header)
        if known is None:
            return None
        token, claims, caller = known
        return caller if self._verifier.remembered(token) is claims else None

    async def _person(self, header: bytes) -> Caller:
        known = self._known.get(header)
        if known is not None and await self._verifier.verify(known[0]) is known[1]:
            return known[2]
        bearer = _BEARER.fullmatch(header)
        if bearer is None:
            raise TokenRefused("the header Authorization holds no bearer token")
        token = bearer[1].decode()
        claims = await self._verifier.verify(token)
        if not _USER.fullmatch(claims.sub):
            raise TokenRefused("its subject is no user")
        caller = Caller(
            user_id=int(claims.sub),
            customer_id=claims.customer_id,
            roles=frozenset(claims.roles) - SERVICE.roles,
            scopes=frozenset(claims.scope.split()),
        )
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[header] = token, claims, caller
        return caller

    def _service(self, secret: bytes) -> Caller:
        if not self._service_secret or not hmac.compare_digest(secret, self._service_secret):
            raise TokenRefused("it isn't the services' secret")
        return SERVICE
