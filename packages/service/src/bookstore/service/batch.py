"""Reads that arrive together are asked together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from bookstore.service.context import RequestContext, current
from bookstore.service.tracing.span import together

K = TypeVar("K")
V = TypeVar("V")


class Batch(Generic[K, V]):
    """Turns many single reads into few reads of many.

    A read never joins a query that was sent before it arrived, so what it sees is at least as new as its
    own call. The first read of a quiet moment goes out at once; those that come while `width` queries
    are under way wait for the next. The batch is as large as the load makes it.

    Args:
        fetch: Asks for all of these keys, and gives the values of those that there are.
        width: How many queries may be under way.
        most: How many reads may travel in one.
        patience: Seconds that one read may take.
        linger: Seconds that a query which follows another waits for company: worth it where a query costs
            far more than a read's part in it.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        width: int = 2,
        most: int = 100,
        patience: float = 1.6,
        linger: float = 0.0,
    ) -> None:
        self._fetch = fetch
        self._patience = patience
        self._width = width
        self._most = most
        self._linger = linger
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        """Each reader by itself: one that gives up doesn't take the answer away from the others."""
        self._asking: list[RequestContext] = []
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, key: K) -> V | None:
        """The value of `key`, or None if there is none; raises what the fetch raised.

        Raises:
            TimeoutError: after `patience` seconds, those spent waiting for the queries before included.
        """
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = [future]
            if len(self._running) < self._width:
                self._start()
        else:
            waiting.append(future)
        if request := current.get():
            self._asking.append(request)
        async with asyncio.timeout(self._patience):
            return await future

    def _start(self, linger: float = 0.0) -> None:
        task = asyncio.get_running_loop().create_task(self._run(linger))
        self._running.add(task)
        task.add_done_callback(self._next)

    def _next(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._waiting:
            self._start(self._linger)

    async def _run(self, linger: float) -> None:
        if linger:
            await asyncio.sleep(linger)
        # The task starts one turn of the loop later: all that arrived in this turn travels along.
        asking, self._asking = self._asking, []
        current.set(together(asking))
        keys = list(self._waiting)[: self._most]
        if not keys:
            return
        futures = {key: self._waiting.pop(key) for key in keys}
        try:
            found = await self._fetch(keys)
        except Exception as error:  # noqa: BLE001 - handed on to each reader
            for future in chain.from_iterable(futures.values()):
                if not future.done():
                    future.set_exception(error)
        else:
            for key, waiting in futures.items():
                for future in waiting:
                    if not future.done():
                        future.set_result(found.get(key))
