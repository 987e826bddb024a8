"""A look inside the cache, for operators: bounded, because Redis holds other things as well."""

import asyncio

from bookstore.books.cache.cache import Kept
from bookstore.books.cache.entry import PAGES
from bookstore.books.cache.shelf import Space

_MOST = 1000
_ROUNDS = 100
_A_ROUND = 1000


async def contents(space: Space) -> list[Kept]:
    """The entries that can be answered with: a thousand at most, of the first 100,000 keys of Redis."""
    word: bytes | None = await space.session.ask("GET", space.guard(PAGES))
    alive = (f"{space.prefix}book:", f"{space.prefix}{PAGES}:{(word or b'').decode()}:")
    keys = [
        key for key in await _found(space) if key.startswith(alive) and not key.endswith((":guard", ":bars"))
    ]
    told = [
        answer
        for key in sorted(keys[:_MOST])
        for answer in (space.session.ask("PTTL", key), space.session.ask("STRLEN", key))
    ]
    values: list[int] = await asyncio.gather(*told)
    rows = zip(sorted(keys[:_MOST]), values[::2], values[1::2], strict=True)
    return [Kept(key, max(0, ttl) / 1000, size) for key, ttl, size in rows if size]


async def _found(space: Space) -> list[str]:
    keys: set[str] = set()
    cursor = b"0"
    for _ in range(_ROUNDS):
        cursor, some = await space.session.ask("SCAN", cursor, "MATCH", f"{space.prefix}*", "COUNT", _A_ROUND)
        keys.update(key.decode(errors="replace") for key in some)
        if cursor == b"0" or len(keys) > 4 * _MOST:
            break
    return list(keys)
