"""Whether this machine keeps time: on one that doesn't, an experiment proves nothing."""

from __future__ import annotations

import asyncio
import time

from bookstore.lab.load.summary import LAG_LIMIT

LOOK = 2.0
"""Seconds for which the machine has to keep time before anything is tried again."""
PATIENCE = 60.0
"""Seconds that are waited for that; then it's tried all the same."""
_STEP = 0.01


async def calm(*, look: float = LOOK, patience: float = PATIENCE) -> bool:
    """Wait until this process gets a processor in time, as a generator needs it; False if that never came."""
    until = time.monotonic() + patience
    since = time.monotonic()
    while time.monotonic() - since < look:
        if time.monotonic() > until:
            return False
        due = time.monotonic() + _STEP
        await asyncio.sleep(_STEP)
        if time.monotonic() - due > LAG_LIMIT:
            since = time.monotonic()
    return True
