"""Rules of sessions, without I/O."""

import hashlib
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from bookstore.accounts.people.model import User
from bookstore.contracts.accounts import Email
from bookstore.service.problem import Problem

PER_ACCOUNT = 5
"""Failures from one address for one account, within the window."""

PER_ADDRESS = 50
"""Failures from one address, whatever the account."""

WINDOW = 300
"""Seconds."""

_TO_ASK_FOR = {"ops": frozenset({"load"})}
"""By role. `load`: no limit of the gateway holds for it, for tests under load."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Refreshed: TypeAlias = Literal["refreshed", "unknown", "superseded", "reused"]

_NEIGHBOURS = 64
"""Whoever has an IPv6 address has all those that share so many bits with it."""


class WrongCredentials(Problem):
    """The address or the password is wrong: nobody is told which, or whether there is such an account."""

    def __init__(self) -> None:
        super().__init__(
            401,
            "invalid-credentials",
            "the e-mail address or the password is wrong",
            headers={"WWW-Authenticate": "Bearer"},
        )


class TooManyFailures(Problem):
    """Too many failures; `seconds` until the next try is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            429,
            "too-many-failures",
            f"too many failed logins; try again in {seconds} seconds",
            headers={"Retry-After": str(seconds)},
        )


class SessionRefused(Problem):
    """A refresh token that isn't good, or not any more."""

    def __init__(self, *, superseded: bool = False) -> None:
        super().__init__(
            401,
            "refresh-superseded" if superseded else "invalid-refresh-token",
            "this refresh token was just used by another request"
            if superseded
            else "the refresh token is not valid, or not any more; log in again",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )


def account(typed: str) -> tuple[str | None, bytes]:
    """The address that was typed, if it can be one, and what its failures are counted under."""
    try:
        email = str(Email(typed))
    except ValueError:
        email = None
    # A digest, since people type passwords into the wrong field.
    return email, hashlib.sha256((email or typed.strip()).encode()).digest()


def networks(text: str) -> list[Network]:
    """The networks of the setting.

    Raises:
        ValueError: if one isn't any.
    """
    return [ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]


def address(peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]) -> str:
    """Where a request came from: the last address that no trusted proxy has vouched for.

    Only proxies that we trust are believed, each for the one that it took the request from. An IPv6 address
    stands for its /64.
    """
    named = ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")
    hops = [hop.strip() for hop in named.split(",") if hop.strip()]
    found = _parsed(peer)
    while hops and found is not None and any(found in network for network in trusted):
        hop = _parsed(hops.pop())
        if hop is None:
            break
        found = hop
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _NEIGHBOURS), strict=False))
    return str(found or peer)[:64]


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def new_token() -> tuple[str, bytes]:
    """A refresh token, and the digest that is kept of it: 256 random bits need no slow hash."""
    token = secrets.token_urlsafe(32)
    return token, digest(token)


def digest(token: str) -> bytes:
    """What is kept of a refresh token, and looked up: no comparison tells how near a guess was."""
    return hashlib.sha256(token.encode()).digest()


def granted(role: str, asked: str) -> str:
    """The scope of a token: the role, and what was asked for of that which the role may ask for."""
    return " ".join([role, *sorted(set(asked.split()) & _TO_ASK_FOR.get(role, frozenset()))])


def claims(user: User, *, issuer: str, audience: str, now: int, life: int, scope: str = "") -> dict[str, Any]:
    """What an access token says."""
    return {
        "iss": issuer,
        "aud": audience,
        "sub": str(user.id),
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + life,
        "scope": granted(user.role, scope),
        "roles": [user.role],
        "customer_id": user.customer_id,
    }
