"""Who goes with which wave of a step."""

import asyncio

import pytest

from bookstore.orders.step import Step
from bookstore.service.testing import soon


class Work:
    """Waves that are worked on until the test ends them."""

    def __init__(self, size, linger=20.0):
        self.waves = []
        self.step = Step(self._work, lambda: size, linger=linger)
        self._ends = asyncio.Event()
        self._begun = asyncio.Event()

    async def _work(self, wave):
        self.waves.append(list(wave))
        self._begun.set()
        await self._ends.wait()
        self._ends.clear()

    def join(self, *several):
        for one in several:
            self.step.join(one)

    async def begun(self):
        async with asyncio.timeout(20):
            await self._begun.wait()
        self._begun.clear()
        return self.waves[-1]

    def end(self):
        self._ends.set()


@pytest.fixture
async def work():
    work = Work(3)
    yield work
    work.step.end()


async def test_the_first_go_at_once_with_those_of_the_same_moment(work):
    work.join("a", "b")
    assert await work.begun() == ["a", "b"]


async def test_no_more_go_than_one_wave_takes(work):
    work.join(*"abcdefg")
    assert await work.begun() == ["a", "b", "c"]
    work.end()
    assert await work.begun() == ["d", "e", "f"]


async def test_those_that_come_meanwhile_wait_for_company_until_they_are_enough(work):
    work.join("a")
    await work.begun()
    work.join("b")
    work.end()
    for _ in range(20):  # turns of the event loop, in which it could go
        await asyncio.sleep(0)
    assert work.waves == [["a"]]
    work.join("c", "d")
    assert await work.begun() == ["b", "c", "d"]


async def test_they_do_not_wait_for_long():
    work = Work(3, linger=0.01)
    work.join("a")
    await work.begun()
    work.join("b")
    work.end()
    assert await work.begun() == ["b"]
    work.end()
    await soon(lambda: work.step._task is None)
    work.join("c")  # it is quiet again
    assert await work.begun() == ["c"]
    work.step.end()
