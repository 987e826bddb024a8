"""Forgetting keys whose time is over, in the background."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager

from bookstore.orders.idempotency.store import KeyStore
from bookstore.service.background import meanwhile

logger = logging.getLogger(__name__)

_EVERY = 60.0
_BREATH = 0.1
"""Seconds between two handfuls of keys, so that requests go first."""


def sweeping(keys: KeyStore, *, every: float = _EVERY) -> AbstractAsyncContextManager[None]:
    """Sweep for as long as the block runs. Each process does, and none waits for another."""
    return meanwhile(_sweep(keys, every))


async def _sweep(keys: KeyStore, every: float) -> None:
    pause = every
    while True:
        await asyncio.sleep(pause)
        try:
            pause = _BREATH if await keys.sweep() else every
        except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
            pause = every
            logger.warning("old idempotency keys could not be forgotten", extra={"cause": str(error)})
