"""Cache-aside: look on the shelf, else read PostgreSQL, and keep that unless it changed meanwhile."""

import asyncio
import secrets
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from bookstore.books.cache.cache import Kept, Make, Tally
from bookstore.books.cache.contents import contents
from bookstore.books.cache.entry import PAGES, Entry, Place, book_place
from bookstore.books.cache.shelf import KEYS, Shelf, Space
from bookstore.books.cache.store import EpochStore
from bookstore.books.cache.trust import Trust
from bookstore.service.database import Database, DatabaseUnavailable
from bookstore.service.health import Dependency
from bookstore.service.redis_home import Home
from bookstore.service.redis_line import RedisLine
from bookstore.service.redis_session import RedisAway


class CacheAside:
    """The cache of one replica, on the Redis that all share. Hold it open with `running`."""

    def __init__(self, url: str, database: Database, *, ttl: int) -> None:
        self.tally = Tally()
        self._trust = Trust(EpochStore(database))
        self._line = RedisLine(Home(url, KEYS), begins=self._trust.keep_at, while_away=self._trust.close)
        self._shelf = Shelf(self._line, ttl)
        self._flights: dict[tuple[str, Place], asyncio.Task[tuple[Entry, bool]]] = {}

    async def hit(self, place: Place) -> Entry | None:
        """What is kept there, if it may be used and that is known without asking PostgreSQL."""
        epoch = self._trust.known()
        if epoch is None:
            return None
        try:
            entry = await self._shelf.get(self._here(epoch), place)
        except RedisAway:
            return None
        if entry:
            self.tally.of(place).hits += 1
        return entry

    async def read(self, place: Place, make: Make) -> tuple[Entry, bool]:
        """What is kept there, else what `make` makes; and whether it was kept.

        Those who miss the same entry at once share one `make`. It may have begun before some of them came: to
        those its answer is only given if it was kept, which proves that nothing had changed by then.
        """
        counts = self.tally.of(place)
        try:
            space = await self._space()
            entry = await self._shelf.get(space, place)
        except RedisAway:
            counts.bypasses += 1
            return await make(), False
        if entry:
            counts.hits += 1
            return entry, True
        counts.misses += 1
        key = (space.prefix, place)
        if flight := self._flights.get(key):
            with suppress(Exception):
                entry, proven = await asyncio.shield(flight)
                if proven:
                    return entry, False
        # What flies now has begun after the one that was joined had ended.
        flight = self._flights.get(key) or self._fly(space, place, make)
        entry, _ = await asyncio.shield(flight)
        return entry, False

    @asynccontextmanager
    async def changing(self, book_ids: Iterable[int]) -> AsyncGenerator[None]:
        """Hold this open round a write of these books, its commit included; without any, of a new book.

        The process may die anywhere in here. What the write changes has left the shelf before it began, and
        nobody puts it back until the write has ended or can't be under way any more.
        """
        groups, writer = _groups(book_ids), secrets.token_hex(8)
        # Without Redis there is nothing to bar: then the cache is closed, at the latest by `_forget`.
        with suppress(RedisAway):
            await self._shelf.bar(await self._space(), groups, writer)
        try:
            yield
        except (DatabaseUnavailable, CancelledError):
            raise  # it may have happened, or may still: the bar stays until it can't
        except BaseException:
            with suppress(RedisAway):
                await self._shelf.forget(await self._space(), groups, writer)
            raise
        await self._forget(groups, writer)

    async def changed(self, book_ids: Iterable[int]) -> None:
        """To be awaited after a write's commit and before its answer: from now on nobody gets the old state.

        A process that dies here has not acknowledged its write; until somebody writes the book again, or the
        entry's time is over, its old state may be answered.
        """
        await self._forget(_groups(book_ids))

    async def contents(self) -> list[Kept]:
        """What is kept now, a thousand entries at most; nothing while the cache is away or closed."""
        try:
            return await contents(await self._space())
        except RedisAway:
            return []

    def running(self) -> AbstractAsyncContextManager[None]:
        """To be held open while it is used."""
        return self._line.kept()

    def dependencies(self) -> list[Dependency]:
        """Redis, which the catalogue can do without."""
        return [Dependency("redis", self._line.check, required=False)]

    async def _space(self) -> Space:
        if self._line.session is None:
            raise RedisAway("no connection")
        epoch = await self._trust.epoch()
        if epoch is None:
            raise RedisAway("the cache is closed")
        return self._here(epoch)

    def _here(self, epoch: str) -> Space:
        """The keys of this epoch, if the server that we reach is the one that they are kept at."""
        space = self._shelf.space(epoch)
        if space.session.run != self._trust.run:
            space.session.end("the cache is kept at another server")
            raise RedisAway("the cache is kept at another server")
        return space

    async def _forget(self, groups: Iterable[str], writer: str = "") -> None:
        """Either Redis has confirmed that these are gone, or the cache is closed for all."""
        # As it is after the commit: an epoch that begins later has nothing from before.
        epoch = await self._trust.ask()
        if epoch is not None:
            try:
                await self._shelf.forget(self._here(epoch), groups, writer)
            except RedisAway:
                await self._trust.close()
            else:
                self.tally.removals += 1
                return
        self.tally.closings += 1
        await self._trust.closed_for_all()

    def _fly(self, space: Space, place: Place, make: Make) -> asyncio.Task[tuple[Entry, bool]]:
        key = (space.prefix, place)
        flight = asyncio.create_task(self._made(space, place, make))

        def land(flight: asyncio.Task[tuple[Entry, bool]]) -> None:
            del self._flights[key]
            _ = flight.cancelled() or flight.exception()  # all who waited may have gone

        self._flights[key] = flight
        flight.add_done_callback(land)
        return flight

    async def _made(self, space: Space, place: Place, make: Make) -> tuple[Entry, bool]:
        """A new entry, and whether it was still true when it was kept."""
        word = None
        with suppress(RedisAway):
            word = await self._shelf.guard(space, place)
        entry = await make()
        kept = False
        with suppress(RedisAway):
            kept = word is not None and await self._shelf.keep(space, place, word, entry)
        return entry, kept


def _groups(book_ids: Iterable[int]) -> list[str]:
    return [PAGES, *(book_place(book_id).group for book_id in book_ids)]
