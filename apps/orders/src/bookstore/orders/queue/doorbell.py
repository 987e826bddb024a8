"""The doorbell: a Redis stream that wakes a worker for a job. Losing it loses nothing but a little time.

An entry holds a job's number and nothing else. Entries are removed when they are done with, so the stream is
as long as what is being worked on. There is no MAXLEN: that would cut off what nobody has read yet; `length`
tells the relay when to wait. Nothing here needs more than Redis 6.2, and no script that could be flushed.
"""

import asyncio
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError

from bookstore.service.redis import connect
from bookstore.service.redis_home import Home

BLOCK: Final = 1.0
"""Seconds that a read waits at the server; how long a quiet worker takes to notice that it should stop."""
_PATIENCE: Final = 1.0
_GROUP: Final = b"workers"
_JOB: Final = b"job"
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,17}")
_MOST_AGAIN: Final = 1000
_DEAD_CONSUMER: Final = 3_600_000
"""Milliseconds of silence after which the name of a worker is forgotten."""

Trouble = (RedisError, OSError, asyncio.TimeoutError)
"""What any call may raise when Redis is away, frozen, or has lost everything."""


class Entry(NamedTuple):
    """A ring of the bell, for one job."""

    id: bytes
    job_id: int
    """0 if it has none: it was deleted or trimmed away meanwhile, or it is none of ours."""


class StreamLost(Exception):
    """The stream or its group was gone, and has been made anew: whatever was rung before is lost."""


class EvictsAnything(Exception):
    """This Redis may evict any key, the stream included."""

    def __init__(self, policy: str) -> None:
        super().__init__(
            f"its maxmemory-policy {policy} lets Redis drop the stream; use a volatile-* one, or noeviction"
        )


async def check_eviction(redis: Any) -> None:
    """Return if this Redis keeps a key that has no time to live.

    Raises:
        EvictsAnything: if it doesn't. What else it may raise is in `Trouble`.
    """
    # INFO also answers where a provider has closed CONFIG.
    memory = await redis.info("memory")
    policy = str(memory.get("maxmemory_policy", ""))
    if policy.startswith("allkeys-"):
        raise EvictsAnything(policy)


class Doorbell:
    """One stream, as one worker sees it. Reading has a connection of its own, because it blocks."""

    def __init__(self, url: str, stream: str, consumer: str) -> None:
        # Typed as Any: redis-py leaves the types of most answers open.
        self._home = Home(url, stream)
        self._redis: Any = connect(self._home, patience=_PATIENCE, connections=8)
        self._reading: Any = connect(self._home, patience=BLOCK + _PATIENCE, connections=1)
        self._stream = stream.encode()
        self._consumer = consumer.encode()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._reading.aclose()
        await self._redis.aclose()

    async def check(self) -> None:
        """Return if Redis answers, and can be trusted with a stream."""
        await check_eviction(self._redis)

    @property
    def moves(self) -> int:
        """How often the stream turned out to be at another server than before.

        One that took over knows what Redis had told it by then: it may lack the last entries.
        """
        return self._home.moves

    async def length(self) -> int:
        """How many entries nobody is done with."""
        return int(await self._do("XLEN", self._stream))

    async def ring(self, job_ids: Iterable[int]) -> None:
        """Add an entry for each job.

        Raises:
            StreamLost: if there was no stream; nothing was rung then.
        """
        pipe = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.execute_command("XADD", self._stream, "NOMKSTREAM", "*", _JOB, job_id)
        if None in await pipe.execute():
            await self._make_anew()

    async def read(self, count: int) -> list[Entry]:
        """Up to `count` entries that nobody has seen, after `BLOCK` seconds at most.

        Raises:
            StreamLost: if the stream or its group was gone.
        """
        return await self._read(b">", count)

    async def read_again(self) -> list[Entry]:
        """Entries that were given to us and that we aren't done with: a lost connection may have had them.

        Raises:
            StreamLost: if the stream or its group was gone.
        """
        return await self._read(b"0", _MOST_AGAIN)

    async def _read(self, start: bytes, count: int) -> list[Entry]:
        try:
            found = await self._reading.execute_command(
                "XREADGROUP", "GROUP", _GROUP, self._consumer, "COUNT", count, "BLOCK", int(BLOCK * 1000),
                "STREAMS", self._stream, start,
            )  # fmt: skip
        except ResponseError as error:
            if _says(error, "NOGROUP", "UNBLOCKED"):
                await self._make_anew()
            raise
        if not found:
            return []
        return [Entry(name, _job_in(fields)) for name, fields in found[0][1]]

    async def remove(self, entries: Sequence[bytes]) -> None:
        """Be done with these entries: acknowledged alone they would stay in the stream for ever."""
        if not entries:
            return
        pipe = self._redis.pipeline(transaction=True)
        pipe.execute_command("XACK", self._stream, _GROUP, *entries)
        pipe.execute_command("XDEL", self._stream, *entries)
        await pipe.execute()

    async def stale(self, idle: float, count: int = 100) -> list[Entry]:
        """Entries that somebody read at least `idle` seconds ago, and that are still not removed."""
        names = [each["message_id"] for each in await self._pending(count, idle=int(idle * 1000))]
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.execute_command("XRANGE", self._stream, name, name)
        bodies: Any = await pipe.execute() if names else ()
        return [
            Entry(name, _job_in(body[0][1] if body else None))
            for name, body in zip(names, bodies, strict=True)
        ]

    async def forget_the_dead(self) -> None:
        """Remove the names of workers that are long gone, but never one with an entry pending."""
        for consumer in await self._unless_missing(self._redis.xinfo_consumers(self._stream, _GROUP), []):
            name, idle, pending = (consumer[key] for key in ("name", "idle", "pending"))
            if not pending and idle > _DEAD_CONSUMER:
                await self._forget(name)

    async def leave(self) -> None:
        """Take our own name out of the group, if nothing of ours is pending."""
        if not await self._pending(1, consumername=self._consumer):
            await self._forget(self._consumer)

    async def _pending(self, count: int, **which: Any) -> list[dict[str, Any]]:
        pending = self._redis.xpending_range(self._stream, _GROUP, "-", "+", count, **which)
        return await self._unless_missing(pending, [])

    async def _forget(self, name: bytes | str) -> None:
        await self._unless_missing(self._do("XGROUP", "DELCONSUMER", self._stream, _GROUP, name), 0)

    async def _make_anew(self) -> None:
        """Make stream and group; always from the start, so that nothing in the stream is passed over.

        Raises:
            StreamLost: always, when they are there.
        """
        try:
            await self._do("XGROUP", "CREATE", self._stream, _GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if not _says(error, "BUSYGROUP"):
                raise
        # Also if another has just made them: whoever has seen the loss sees to it that all is rung for again.
        raise StreamLost

    async def _do(self, *command: Any) -> Any:
        return await self._redis.execute_command(*command)

    @staticmethod
    async def _unless_missing(answer: Awaitable[Any], otherwise: Any) -> Any:
        """The answer, or something else if there is no stream or no group."""
        try:
            return await answer
        except ResponseError as error:
            if not _says(error, "NOGROUP", "no such key", "requires the key"):
                raise
            return otherwise


def _job_in(fields: Mapping[bytes, bytes] | None) -> int:
    """The job that an entry is for, whoever wrote it: one that can't be read must not stop the reading."""
    number = fields.get(_JOB, b"") if fields else b""
    return int(number) if _NUMBER.fullmatch(number) else 0


def _says(error: ResponseError, *words: str) -> bool:
    return any(word in str(error) for word in words)
