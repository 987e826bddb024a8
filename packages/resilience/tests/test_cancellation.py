"""Every policy of the core, and pipelines of them, cancelled at each of their awaits."""

import asyncio

import pytest

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    Deadline,
    Fallback,
    Pipeline,
    Retry,
    Timeout,
    Window,
    current_deadline,
)
from bookstore.resilience.testing import FakeClock, cancel_everywhere, permits_at_rest


async def work(clock):
    await clock.sleep(0.1)
    await clock.sleep(0.1)
    return "value"


async def fails(clock):
    await clock.sleep(0.1)
    raise ValueError


async def hangs(clock):
    await clock.sleep(1_000)


POLICIES = {
    "breaker": lambda: [Breaker()],
    "slow breaker": lambda: [Breaker(slow_call=0.05)],
    "retry": lambda: [Retry(delay=0.5)],
    "timeout": lambda: [Timeout(0.3)],
    "tight timeout": lambda: [Timeout(0.15)],
    "deadline": lambda: [Deadline(0.3)],
    "tight deadline": lambda: [Deadline(0.15)],
    "bulkhead": lambda: [Bulkhead(1, queue=5, wait=5.0)],
    "fallback": lambda: [Fallback(use=lambda error: asyncio.sleep(0, repr(error)))],
    "all": lambda: [
        Fallback(use="other"),
        Deadline(3.0),
        Retry(delay=0.5),
        Breaker(slow_call=0.05),
        Bulkhead(1, queue=5, wait=5.0),
        Timeout(0.15),
    ],
    "any order": lambda: [Timeout(2.0), Bulkhead(1, queue=5), Deadline(2.0), Timeout(0.15), Timeout(0.15)],
}


@pytest.mark.filterwarnings("ignore::bookstore.resilience.MisorderWarning")
@pytest.mark.parametrize("target", [work, fails, hangs], ids=lambda target: target.__name__)
@pytest.mark.parametrize("policies", POLICIES)
async def test_nothing_leaks(policies, target):
    pipelines = []

    async def scenario(clock):
        pipelines[:] = [Pipeline("books", *POLICIES[policies](), clock=clock)]
        try:
            await pipelines[0].call(target, clock)
        except Exception:  # noqa: BLE001 - how it ends is the business of other tests
            await asyncio.sleep(0)

    def at_rest(clock):
        permits_at_rest(*pipelines, clock)
        assert current_deadline() is None

    assert await cancel_everywhere(scenario, at_rest) >= 1


async def test_a_breaker_learns_nothing_from_cancelled_trials():
    breakers = []

    async def scenario(clock):
        breaker = Breaker(window=Window.count(1), trials=1, open_for=1.0, clock=clock)
        breakers[:] = [breaker]
        breaker.acquire().fail()
        clock.tick(1)
        await Pipeline("books", breaker).call(work, clock)

    def at_rest(clock):
        permits_at_rest(*breakers, clock)
        assert breakers[0].state in ("half_open", "closed")
        if breakers[0].state == "half_open":
            assert breakers[0].snapshot().calls == 0
            breakers[0].acquire()

    assert await cancel_everywhere(scenario, at_rest) == 2


@pytest.mark.parametrize("size", [1, 2])
async def test_a_place_in_line_is_never_lost(size):
    bulkheads = []

    async def scenario(clock):
        bulkhead = Bulkhead(size, queue=9, clock=clock)
        bulkheads[:] = [bulkhead]

        async def other():
            async with bulkhead:
                await clock.sleep(0.1)

        others = [asyncio.create_task(other()) for _ in range(4)]
        try:
            await asyncio.sleep(0)
            async with bulkhead:
                await clock.sleep(0.1)
        finally:
            await asyncio.gather(*others)

    assert await cancel_everywhere(scenario, lambda clock: permits_at_rest(*bulkheads, clock)) >= 3


class TestTools:
    async def test_counts_the_awaits(self):
        async def scenario(clock):
            for _ in range(3):
                await clock.sleep(1)

        assert await cancel_everywhere(scenario) == 3

    async def test_finds_a_leak(self):
        bulkheads = []

        async def scenario(clock):
            bulkheads[:] = [Bulkhead(1, clock=clock)]
            permit = bulkheads[0].acquire()
            await clock.sleep(1)  # no try: a cancellation loses the permit
            permit.ok()

        with pytest.raises(AssertionError, match="in_flight is 1 at rest"):
            await cancel_everywhere(scenario, lambda clock: permits_at_rest(*bulkheads, clock))

    async def test_finds_a_swallowed_cancellation(self):
        async def scenario(clock):
            try:
                await clock.sleep(1)
            except asyncio.CancelledError:
                await clock.sleep(1)

        with pytest.raises(AssertionError, match="swallowed the cancellation at await 1"):
            await cancel_everywhere(scenario)

    async def test_finds_a_task_that_cancels_itself(self):
        async def scenario(_clock):
            raise asyncio.CancelledError

        with pytest.raises(AssertionError, match="before its time"):
            await cancel_everywhere(scenario)

    async def test_errors_of_the_scenario_come_through(self):
        async def scenario(clock):
            await clock.sleep(1)
            raise ValueError

        with pytest.raises(ValueError):
            await cancel_everywhere(scenario)

    def test_rest_is_about_timers_too(self):
        clock = FakeClock()
        clock.call_at(clock.now() + 1, print)
        with pytest.raises(AssertionError, match="pending is 1"):
            permits_at_rest(clock)
