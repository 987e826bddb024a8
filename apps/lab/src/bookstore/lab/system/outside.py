"""Stores of the user's own, which DATABASE_URL and REDIS_URL name: used instead of those that come along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.addresses import place_of
from bookstore.lab.system.credentials import POSTGRES, REDIS
from bookstore.lab.system.probe import probe
from bookstore.stores import redis_place

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES: Final = {POSTGRES: "DATABASE_URL", REDIS: "REDIS_URL"}
_TIMEOUT: Final = 5.0


def named(caller: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The stores that the caller's environment names: which variable does it, and the URL."""
    return {store: (name, caller[name]) for store, name in _VARIABLES.items() if caller.get(name)}


def checked(variable: str, url: str) -> str:
    """The URL, if it looks right and somebody answers there.

    Raises:
        LabError: it doesn't, or nobody does. The URL isn't repeated: it may hold a password.
    """
    example = {
        "DATABASE_URL": "postgresql://administrator:password@host:5432/postgres",
        "REDIS_URL": "redis://:password@host:6379/0, redis+cluster://:password@host:6379,host:6379"
        " or redis+sentinel://:password@host:26379,host:26379/service",
    }[variable]
    if not _is_sound(variable, url):
        raise LabError(
            f"{variable} isn't a URL like {example}.",
            f"Correct it, or unset {variable} to use the embedded server.",
            Exit.SETTING,
        )
    if probe("store", url, _TIMEOUT) != "healthy":
        raise LabError(
            f"Nobody answers as {variable} says, at {place_of(url)}{_refusal(url)}.",
            f"Start that server, correct the URL, or unset {variable} to use the embedded one.",
            Exit.STORE,
        )
    return url


def _is_sound(variable: str, url: str) -> bool:
    try:
        if variable == "REDIS_URL":
            return bool(redis_place.read(url).seeds)
        parts = urlsplit(url)
        return parts.scheme in ("postgresql", "postgres") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _refusal(url: str) -> str:
    """What a Redis that refuses us says."""
    complaint = redis_place.read(url).complaint() if url.startswith("redis") else None
    return f" ({complaint})" if complaint else ""
