"""How late the event loop is: what holds it up, holds up every request."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

EVERY: Final = 0.5


@asynccontextmanager
async def pulse(tell: Callable[[float], object], every: float = EVERY) -> AsyncGenerator[None]:
    """Set a timer again and again while the block runs, and tell by how many seconds each was late."""
    loop = asyncio.get_running_loop()

    def beat(due: float) -> None:
        nonlocal timer
        now = loop.time()
        tell(max(0.0, now - due))
        timer = loop.call_at(now + every, beat, now + every)

    due = loop.time() + every
    timer = loop.call_at(due, beat, due)
    try:
        yield
    finally:
        timer.cancel()
