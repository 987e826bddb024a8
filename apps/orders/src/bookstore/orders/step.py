"""A step that orders take together: one wave after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Step(Generic[T]):
    """Works on those that have come, while others come and wait for the next wave.

    The first of a quiet moment goes at once, with those that come in the same turn of the event loop.

    Args:
        work: Does it for a wave; it raises nothing, as each in it is told by itself.
        size: How many are to go in the next wave. More never do; with fewer a wave right after another
            waits for company.
        linger: Seconds that it waits for that at most.
    """

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[None]], size: Callable[[], int], *, linger: float
    ) -> None:
        self._work = work
        self._size = size
        self._linger = linger
        self._line: list[T] = []
        self._task: asyncio.Task[None] | None = None
        self._enough = 0
        """How many are waited for."""
        self._company: asyncio.Future[None] | None = None

    def join(self, one: T) -> None:
        """Go with the next wave."""
        self._line.append(one)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        elif self._company is not None and len(self._line) >= self._enough:
            self._part()

    def end(self) -> None:
        """Work on nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._line:
                size = self._size()
                wave = self._line[:size]
                del self._line[:size]
                await self._work(wave)
                if self._line and self._linger:
                    await self._gather()
        finally:
            self._task = None

    async def _gather(self) -> None:
        self._enough = self._size()
        if len(self._line) >= self._enough:
            return
        loop = asyncio.get_running_loop()
        self._company = loop.create_future()
        timer = loop.call_later(self._linger, self._part)
        await self._company
        timer.cancel()

    def _part(self) -> None:
        company, self._company = self._company, None
        if company is not None and not company.done():
            company.set_result(None)
