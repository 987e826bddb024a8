"""What Redis keeps for all replicas, and the commands for it.

Every key begins with the run of the Redis server and the epoch of the cache (see trust.py). What a restarted
Redis finds on its disk, which may be older than the last writes, is thus never looked at.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bookstore.books.cache import scripts
from bookstore.books.cache.entry import PAGES, Entry, Place
from bookstore.service.redis_line import RedisLine
from bookstore.service.redis_session import RedisAway, Session

KEYS = "{books}"
"""Begins all keys. In a cluster they are in one slot: a write removes several in one step."""

LONGEST = 1_048_576
"""Bytes of an entry that is still kept."""

BARRED = 15
"""Seconds for which a writer that died bars what it was about to change: PostgreSQL ends its write sooner."""

_GUARDED = {PAGES: 3600}
_GUARDED_BOOK = 5


@dataclass(frozen=True, slots=True)
class Space:
    """The keys of one run and one epoch."""

    session: Session
    prefix: str

    def entry(self, place: Place, word: str = "") -> str:
        """The key of an entry. Those of a group with many live under its guard's word, and die with it."""
        return f"{self.prefix}{place.group}:{word}:{place.name}" if place.name else self.prefix + place.group

    def guard(self, group: str) -> str:
        """The key of a group's guard."""
        return f"{self.prefix}{group}:guard"

    def bars(self, group: str) -> str:
        """The key of a group's bars."""
        return f"{self.prefix}{group}:bars"


class Shelf:
    """Reads and writes entries; everything here raises `RedisAway` within the line's patience."""

    def __init__(self, line: RedisLine, ttl: int) -> None:
        self._line = line
        self._ttl = ttl
        self._asked: list[tuple[str, asyncio.Future[bytes | None]]] = []
        self._pages_word = ""

    def space(self, epoch: str) -> Space:
        """The keys of this epoch, in the Redis that is there now."""
        session = self._session()
        return Space(session, f"{KEYS}:{session.run}:{epoch}:")

    async def get(self, space: Space, place: Place) -> Entry | None:
        """What is kept there."""
        if not place.name:
            packed = await self._get(space.entry(place))
            return Entry.unpack(packed) if packed else None
        # The guard's word is part of the entry's key: mostly it is still the one that was met last.
        guess = self._pages_word
        guard = self._get(space.guard(place.group))
        packed = await self._get(space.entry(place, guess))
        word = (await guard or b"").decode()
        if word and word != guess:
            self._pages_word = word
            packed = await self._get(space.entry(place, word))
        return Entry.unpack(packed) if word and packed else None

    async def guard(self, space: Space, place: Place) -> str | None:
        """The word that stands for "unchanged from now on"; None while a write is under way."""
        keys = space.guard(place.group), space.bars(place.group)
        seconds = _GUARDED.get(place.group, _GUARDED_BOOK)
        word = await space.session.ask("EVAL", scripts.GUARD, 2, *keys, secrets.token_hex(8), seconds)
        return word.decode() if word else None

    async def keep(self, space: Space, place: Place, word: str, entry: Entry) -> bool:
        """Keep an entry that was made after `guard` gave its word; whether nothing had changed until then."""
        packed = entry.pack()
        if len(packed) > LONGEST:
            return False
        keys = space.guard(place.group), space.entry(place, word)
        return await space.session.ask("EVAL", scripts.KEEP, 2, *keys, word, packed, self._ttl) == 1

    async def bar(self, space: Space, groups: Iterable[str], writer: str) -> None:
        """Forget these groups, and keep nothing of them until `forget` with the same word."""
        await self._write(space, scripts.BAR, groups, writer, BARRED)

    async def forget(self, space: Space, groups: Iterable[str], writer: str = "") -> None:
        """Forget these groups: what was read before this call will not be kept either."""
        await self._write(space, scripts.FORGET, groups, writer)

    async def _write(self, space: Space, script: str, groups: Iterable[str], *words: str | int) -> None:
        groups = list(groups)
        bars = [space.bars(group) for group in groups]
        gone = [space.guard(group) for group in groups] + [space.prefix + group for group in groups]
        keys = [*bars, *gone]
        await space.session.ask("EVAL", script, len(keys), *keys, len(bars), *words)

    def _session(self) -> Session:
        if self._line.session is None:
            raise RedisAway("no connection")
        return self._line.session

    def _get(self, key: str) -> asyncio.Future[bytes | None]:
        """A value. What is asked for in one turn of the loop goes as one command, which costs far less."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._ask)
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._asked.append((key, answer))
        return answer

    def _ask(self) -> None:
        asked, self._asked = self._asked, []

        def tell(values: "asyncio.Future[Any]") -> None:
            error = values.exception()
            for place, (_, answer) in enumerate(asked):
                if answer.done():
                    continue
                if error:
                    answer.set_exception(error)
                    answer.exception()
                else:
                    answer.set_result(values.result()[place])

        try:
            self._session().ask("MGET", *(key for key, _ in asked)).add_done_callback(tell)
        except RedisAway as error:
            failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            tell(failed)
