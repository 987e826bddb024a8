"""Results that nobody reads are closed, whatever they are."""

import asyncio

import pytest

from bookstore.resilience.tasks import abandon, discard


class Plain:
    closed = 0

    def close(self):
        self.closed += 1


class Broken:
    def close(self):
        raise OSError


class Odd:
    close = "shut"


def test_a_loop_that_is_closed_has_nobody_to_reap():
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(0))
    loop.run_until_complete(task)
    loop.close()
    abandon((task,))


async def test_plain_close_is_called():
    plain = Plain()
    await discard(plain)
    assert plain.closed == 1


@pytest.mark.parametrize("value", [None, 1, Broken(), Odd()], ids=["none", "number", "broken", "odd"])
async def test_what_cannot_be_closed_is_left(value):
    await discard(value)
