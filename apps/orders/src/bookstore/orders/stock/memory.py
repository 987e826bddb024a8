"""The stock that books told of last, kept in Redis. A help that orders can do without."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bookstore.resilience import Breaker, Pipeline, Rejected, Retry, Sink

KEYS: Final = "{orders:stock}"
"""Begins all keys; in a cluster they are in one slot."""
KEPT: Final = 7 * 86_400
"""Seconds for which a stock is remembered: an old one is better than none, and says that it is old."""

_LATE = (RedisError, OSError)
_AWAY = (*_LATE, Rejected)


class StockMemory:
    """Remembers as long as Redis is there. A Redis that hangs is waited for three times, then left alone.

    Args:
        redis: None where there is no Redis: then nothing is ever remembered.
        sinks: Are told what becomes of the calls.
    """

    def __init__(self, redis: Redis | None, sinks: Iterable[Sink] = ()) -> None:
        self._redis = redis
        # No timeout of its own: the client's sockets have one, and cutting it off costs a connection.
        self.pipeline = Pipeline(
            "redis.stock",
            # Each command may be given twice. One that came too late for once is no reason to know nothing.
            Retry(attempts=2, delay=0.0, on=_LATE),
            Breaker(name="redis", consecutive=3, open_for=2.0),
            sinks=sinks,
        )

    async def keep(self, book_id: int, quantity: int) -> None:
        """Remember this."""
        if self._redis:
            await self._tried(self._redis.set, _key(book_id), quantity, KEPT)

    async def forget(self, book_id: int) -> None:
        """Remember nothing of a book that isn't on sale."""
        if self._redis:
            await self._tried(self._redis.delete, _key(book_id))

    async def recall(self, book_id: int) -> int | None:
        """What books told last; None if it never did, or nobody knows any more."""
        kept = await self._tried(self._redis.get, _key(book_id)) if self._redis else None
        return int(kept) if isinstance(kept, bytes) and kept.isdigit() else None

    async def _tried(self, command: Callable[..., Awaitable[Any]], *arguments: object) -> Any:
        try:
            return await self.pipeline.call(command, *arguments)
        except _AWAY:
            return None


def _key(book_id: int) -> str:
    return f"{KEYS}:{book_id}"
