"""Waiting in tests: for what a test needs, and never for a length of time."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from time import monotonic, sleep
from typing import Any, Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 90.0
"""Seconds: many, for a busy machine; a test that waits in vain fails by itself, and says where."""
_PAUSE: Final = 0.005


def eventually(check: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Wait until `check` gives something true, and give it too.

    Raises:
        AssertionError: it didn't in time.
    """
    until = monotonic() + seconds
    while not (found := check()):
        _require_time(until)
        sleep(_PAUSE)
    return found


async def soon(check: Callable[[], Awaitable[T] | T], seconds: float = PATIENCE) -> T:
    """The same in an event loop, for a check that may have to be awaited itself.

    Raises:
        AssertionError: it didn't in time.
    """
    until = monotonic() + seconds
    while True:
        answer: Any = check()
        found: T = await answer if isawaitable(answer) else answer
        if found:
            return found
        _require_time(until)
        await asyncio.sleep(_PAUSE)


def _require_time(until: float) -> None:
    if monotonic() > until:
        raise AssertionError("it never came about")
