"""Whom the monitor watches."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from bookstore.service.redis_url import NOBODY, read
from bookstore.service.settings import RedisUrl

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SCHEMES = ("http", "https", "postgresql", "postgres")
_MOST = 200
_PORTS = 65_536


class Target(NamedTuple):
    """One process that is watched: an instance of a service, or a store."""

    service: str
    instance: str
    url: str

    @property
    def parts(self) -> SplitResult:
        """Its address, in parts."""
        return urlsplit(self.url)

    @property
    def is_store(self) -> bool:
        """Whether it keeps data, and so speaks no HTTP."""
        return not self.parts.scheme.startswith("http")


class BadTargets(ValueError):
    """The list of targets can't be used; the message says why, without any value that may be a secret."""


def read_targets(text: str) -> tuple[Target, ...]:
    """The targets of `books=http://a:1,http://b:2 redis=redis://c:3`.

    The instances of a service are numbered from 1, as `bookstore up` does it; a store is alone.

    Raises:
        BadTargets: if it isn't such a list.
    """
    targets: list[Target] = []
    for number, entry in enumerate(text.split(), start=1):
        name, _, urls = entry.partition("=")
        if not _NAME.fullmatch(name):
            raise BadTargets(f"entry {number} doesn't begin with a name in small letters, like books=")
        if any(target.service == name for target in targets):
            raise BadTargets(f"{name} is there twice; several of one name stand with commas between them")
        # What stands behind one store's commas is that store's.
        several = urls.partition("://")[0].endswith(("+cluster", "+sentinel"))
        targets += _instances(name, [urls] if several else urls.split(","))
    if not 0 < len(targets) <= _MOST:
        raise BadTargets(f"there must be 1 to {_MOST} targets")
    return tuple(targets)


def _instances(service: str, urls: list[str]) -> list[Target]:
    found: list[Target] = []
    for number, url in enumerate(urls, start=1):
        if not _is_sound(url):
            raise BadTargets(
                f"{service}: address {number} must look like http://host:port or redis://host:port"
            )
        target = Target(service, f"{service}-{number}", url)
        found.append(target._replace(instance=service) if target.is_store else target)
    if len({target.instance for target in found}) < len(found):
        raise BadTargets(f"{service}: a store has one address")
    return found


def _is_sound(url: str) -> bool:
    if url.startswith("redis"):
        return _is_redis(url)
    try:
        parts = urlsplit(url)
        has_port = parts.port is not None
    except ValueError:
        return False
    return (
        url.isascii()
        and parts.scheme in _SCHEMES
        and bool(parts.hostname)
        and has_port
        and not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
    )


def _is_redis(url: str) -> bool:
    """Whether it says where a Redis is, and nothing that is a secret."""
    try:
        place = read(msgspec.convert(url, RedisUrl))
    except (msgspec.ValidationError, ValueError):
        return False
    except OSError as error:
        raise BadTargets(
            f"the certificates that a rediss:// names can't be used: {error.strerror}"
        ) from error
    known = place.login == place.sentinel_login == NOBODY
    return (
        url.isascii()
        and known
        and place.database == 0
        and all(0 < seed.port < _PORTS and not seed.path for seed in place.seeds)
    )
