"""Before a late experiment is tried again, the machine has to keep time for a while."""

import asyncio
import time

import pytest

from bookstore.lab.experiments.calm import calm


@pytest.fixture
def taken():
    """Somebody who takes the processor away, so many times."""

    async def take(times):
        for _ in range(times):
            time.sleep(0.08)  # noqa: ASYNC251 - that is the point
            await asyncio.sleep(0)

    return take


async def test_it_waits_until_nobody_is_late(taken):
    others = asyncio.ensure_future(taken(3))
    assert await calm(look=0.05, patience=30.0)
    assert others.done()


async def test_it_does_not_wait_for_ever(taken):
    others = asyncio.ensure_future(taken(100))
    assert not await calm(look=10.0, patience=0.3)
    others.cancel()
