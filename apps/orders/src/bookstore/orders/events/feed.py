"""Who watches which order, woken by one connection that listens for all of them.

Being woken says only that there may be something new: what it is stands in the table. So nothing is missed
when the connection is lost: all are woken once it is back.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from typing import Self

from bookstore.service.database import DatabaseUnavailable
from bookstore.service.problem import Problem

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class TooManyWatchers(Problem):
    """As many watch as the service allows."""

    def __init__(self) -> None:
        super().__init__(503, "too-many-watchers", "too many orders are being watched; ask again later")


class Feed:
    """Listens while it is held open with `async with`.

    Args:
        listen: Gives the ids of orders that change, and an empty text when it begins to listen.
        most: How many may watch at a time.
    """

    def __init__(self, listen: Callable[[], AsyncGenerator[str]], *, most: int) -> None:
        self._listen = listen
        self._most = most
        self._watchers: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self.watching = 0
        """How many watch."""
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._keep_listening())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening:
            self._listening.cancel()
            await asyncio.wait({self._listening})

    @contextmanager
    def watch(self, order_id: int) -> Generator[asyncio.Event]:
        """An event that is set whenever the order may have changed, for as long as the block runs.

        Raises:
            TooManyWatchers: if there is no room.
        """
        if self.watching >= self._most:
            raise TooManyWatchers
        changed = asyncio.Event()
        self._watchers[order_id].add(changed)
        self.watching += 1
        try:
            yield changed
        finally:
            self.watching -= 1
            self._watchers[order_id].discard(changed)
            if not self._watchers[order_id]:
                del self._watchers[order_id]

    async def _keep_listening(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with aclosing(self._listen()) as told:
                    async for order_id in told:
                        self._wake(order_id)
                        pause = _FIRST_PAUSE
            except DatabaseUnavailable as error:
                logger.warning("not listening for changes of orders", extra={"cause": str(error)})
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _wake(self, order_id: str) -> None:
        woken = self._watchers.get(int(order_id), ()) if order_id else self._everybody()
        for changed in woken:
            changed.set()

    def _everybody(self) -> Generator[asyncio.Event]:
        for watchers in self._watchers.values():
            yield from watchers
