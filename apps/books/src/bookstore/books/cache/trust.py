"""Whether what Redis keeps may be believed: PostgreSQL has the last word.

A replica that can't reach Redis can't remove from it what it has changed, and others would go on reading
that. So the replicas share one row in PostgreSQL. Its epoch is part of every key in Redis: the next epoch
makes all that was kept unreachable, for good. While the cache is closed nobody uses it. What a replica has
read in that row it believes for `LEASE` seconds, counted from before it asked. So whoever finds the cache
closed, or closes it, knows `LEASE` seconds later that all others have either heard of it or ask again.

The row also names the run of the Redis server that the cache is kept at. When another server takes over, one
replica may see it before the others do, who still reach the old one: it names the new one first, which
closes the cache, and from then on nobody uses what the old one holds.

All writes of a moment ask for that row, and when Redis goes all of them close the cache: those that come
together share one question, and one statement, so that they take two connections at most from who reads.

Only lengths of time are compared across processes, never clocks; PostgreSQL alone says what is closed.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

from bookstore.books.cache.store import EpochStore
from bookstore.service.batch import Batch
from bookstore.service.database import DatabaseUnavailable

LEASE = 0.4
_RENEW = 0.1
CLOSED = 3
"""Seconds for which the cache stays closed after it was last said to be."""


class Trust:
    """What this replica knows of the row."""

    def __init__(self, store: EpochStore) -> None:
        self._store = store
        self._epoch: str | None = None
        self.run = ""
        """The run of the Redis server whose keys may be used."""
        self._asked = float("-inf")
        self._closed = ("", 0.0)
        self._looking: asyncio.Task[str | None] | None = None
        self._asks = Batch(self._ask, width=1)
        self._closings = Batch(self._close, width=1)

    def known(self) -> str | None:
        """The epoch whose keys may be used, if that is known without asking."""
        age = monotonic() - self._asked
        if age > LEASE:
            return None
        if age > _RENEW:
            self._look()
        return self._epoch

    async def epoch(self) -> str | None:
        """The epoch whose keys may be used; None while the cache is closed.

        Raises:
            DatabaseUnavailable: if PostgreSQL has to be asked, and doesn't answer.
        """
        if monotonic() - self._asked > LEASE:
            return await asyncio.shield(self._look())
        return self.known()

    async def ask(self) -> str | None:
        """The same as it stands now: asked after this call, whatever is known already.

        Raises:
            DatabaseUnavailable: if PostgreSQL doesn't answer.
        """
        return await _shared(self._asks)

    async def keep_at(self, run: str) -> None:
        """Have the cache kept at this run of a Redis server, before anything is asked of it.

        Raises:
            DatabaseUnavailable: if PostgreSQL doesn't answer.
        """
        await self._store.keep_at(run, CLOSED)
        await self.ask()

    async def close(self) -> None:
        """Have nobody use the cache for a while; what it held by then is never used again.

        Raises:
            DatabaseUnavailable: if PostgreSQL doesn't answer.
        """
        await _shared(self._closings)

    async def closed_for_all(self) -> None:
        """Return when the cache, which this replica knows to be closed, is so for every replica."""
        _, since = self._closed
        await asyncio.sleep(max(0.0, since + LEASE - monotonic()))

    async def _ask(self, _: Sequence[None]) -> dict[None, str | None]:
        asked = monotonic()
        epoch, closed, run = await self._store.get()
        return {None: self._learn(epoch, closed=closed, asked=asked, run=run)}

    async def _close(self, _: Sequence[None]) -> dict[None, str | None]:
        asked = monotonic()
        return {None: self._learn(await self._store.close(CLOSED), closed=True, asked=asked)}

    def _look(self) -> "asyncio.Task[str | None]":
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self.ask())
            # Errors reach those who wait; of a look ahead of time nobody has to know.
            self._looking.add_done_callback(lambda look: look.cancelled() or look.exception())
        return self._looking

    def _learn(self, epoch: str, *, closed: bool, asked: float, run: str | None = None) -> str | None:
        if closed and self._closed[0] != epoch:
            # Each closing has an epoch of its own: the same one found closed again was closed all along.
            self._closed = (epoch, monotonic())
        if asked > self._asked:
            self._asked, self._epoch = asked, None if closed else epoch
            self.run = self.run if run is None else run
        return None if closed else epoch


async def _shared(batch: Batch[None, str | None]) -> str | None:
    """What comes of it, begun after this call, for all who wait for it."""
    try:
        return await batch.load(None)
    except TimeoutError as error:
        raise DatabaseUnavailable("no answer in time") from error
