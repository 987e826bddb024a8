"""What is done after the answer: the caller isn't made to wait for it, and others do it later if it fails."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Self

from bookstore.resilience.deadline import forget_deadline

logger = logging.getLogger(__name__)

_LEAVE = 1.0
"""Seconds that it may take when the service leaves."""


class Afterwards:
    """Work in the background. Used with `async with`, it is ended when that is left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LEAVE)
        for task in self._tasks:
            task.cancel()

    def do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin it now; it has no part in the caller's deadline."""
        task = asyncio.create_task(_at_best(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _at_best(work: Coroutine[Any, Any, None]) -> None:
    forget_deadline()
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever it was, there is somebody who does it again
        logger.warning("could not undo a step of an order", extra={"cause": str(error)})
