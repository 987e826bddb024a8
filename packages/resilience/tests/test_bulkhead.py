import asyncio

import pytest

from bookstore.resilience import Bulkhead, BulkheadFull, Pipeline
from bookstore.resilience.testing import permits_at_rest


class Calls:
    """Calls through one bulkhead, that run until told otherwise."""

    def __init__(self, clock, *args, **settings):
        self.clock, self.events, self.began = clock, [], []
        self.bulkhead = Bulkhead(*args, **settings)
        self.pipeline = Pipeline("books", self.bulkhead, clock=clock, sinks=[self.events.append])
        self.gates = {}

    async def start(self, *names):
        tasks = [asyncio.create_task(self.pipeline.call(self._work, name)) for name in names]
        await self.clock.advance(0)
        return tasks if len(tasks) > 1 else tasks[0]

    async def end(self, *names):
        for name in names:
            self.gates[name].set()
        await self.clock.advance(0)

    async def _work(self, name):
        self.began.append(name)
        self.gates[name] = asyncio.Event()
        await self.gates[name].wait()
        return name

    def counts(self):
        return self.bulkhead.in_flight, self.bulkhead.waiting


async def test_admits_so_many_and_refuses_the_rest(clock):
    calls = Calls(clock, 2)
    first, second, third = await calls.start("a", "b", "c")
    error = third.exception()
    assert (type(error), error.policy, error.retry_after) == (BulkheadFull, "bulkhead", None)
    assert calls.counts() == (2, 0)
    assert [event.kind for event in calls.events] == ["rejected", "call"]
    await calls.end("a", "b")
    assert (first.result(), second.result()) == ("a", "b")
    permits_at_rest(calls.pipeline, clock)


async def test_first_come_first_served(clock):
    calls = Calls(clock, 1, queue=3)
    await calls.start("a", "b", "c", "d")
    overflow = await calls.start("e")
    assert isinstance(overflow.exception(), BulkheadFull)
    assert calls.counts() == (1, 3)
    for name in "abcd":
        await calls.end(name)
    assert calls.began == list("abcd")
    permits_at_rest(calls.pipeline, clock)


async def test_a_newcomer_never_overtakes(clock):
    calls = Calls(clock, 1, queue=5)
    await calls.start("a", "b")
    calls.gates["a"].set()
    newcomer = asyncio.create_task(calls.pipeline.call(calls._work, "new"))
    # "a" leaves and the newcomer asks in the same turn of the loop.
    await clock.advance(0)
    assert calls.began == ["a", "b"]
    assert calls.counts() == (1, 1)
    newcomer.cancel()
    await calls.end("b")
    permits_at_rest(calls.pipeline)


async def test_waits_no_longer_than_told(clock):
    calls = Calls(clock, 1, queue=5, wait=0.1)
    await calls.start("a")
    second = await calls.start("b")
    await clock.advance(0.099)
    assert not second.done()
    await clock.advance(0.001)
    assert isinstance(second.exception(), BulkheadFull)
    assert calls.counts() == (1, 0)
    third = await calls.start("c")
    await clock.advance(0.05)
    await calls.end("a")
    assert calls.began == ["a", "c"]
    assert clock.pending == 0
    await calls.end("c")
    assert third.result() == "c"
    permits_at_rest(calls.pipeline, clock)


async def test_the_shortest_wait_does_where_there_is_room(clock):
    calls = Calls(clock, 1, wait=1e-9)
    await calls.start("a")
    assert calls.began == ["a"]
    await calls.end("a")


@pytest.mark.parametrize(
    ("settings", "waiting"),
    [
        ({}, 0),
        ({"queue": 2}, 2),
        ({"wait": 1}, 5),
        ({"wait": 0}, 0),
        ({"queue": 5, "wait": 0}, 0),
        ({"queue": 0}, 0),
    ],
    ids=str,
)
async def test_who_may_wait(clock, settings, waiting):
    calls = Calls(clock, 1, **settings)
    tasks = await calls.start(*"abcdef")
    assert calls.bulkhead.waiting == waiting
    for task in tasks:
        task.cancel()
    await clock.advance(0)
    permits_at_rest(calls.pipeline, clock)


async def test_a_wait_alone_lets_64_wait(clock):
    calls = Calls(clock, 1, wait=1.0)
    tasks = await calls.start(*range(70))
    assert calls.bulkhead.waiting == 64
    await clock.advance(1)
    assert sum(task.done() for task in tasks) == 69
    await calls.end(0)


async def test_none_at_all(clock):
    calls = Calls(clock, 0)
    assert isinstance((await calls.start("a")).exception(), BulkheadFull)


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_the_place_comes_back_whatever_happens(clock, error):
    bulkhead = Bulkhead(1, clock=clock)

    async def fails():
        raise error

    run = Pipeline("books", bulkhead).call(fails)
    with pytest.raises(error):
        run.send(None)
    permits_at_rest(bulkhead)


async def test_who_is_cancelled_in_line_leaves_it(clock):
    calls = Calls(clock, 1, queue=5)
    _, second, third = await calls.start("a", "b", "c")
    second.cancel()
    await clock.advance(0)
    assert calls.counts() == (1, 1)
    await calls.end("a")
    assert calls.began == ["a", "c"]
    await calls.end("c")
    assert third.result() == "c"
    permits_at_rest(calls.pipeline)


@pytest.mark.parametrize("cancelled_first", [True, False])
async def test_cancelled_as_the_place_comes_hands_it_on(clock, cancelled_first):
    calls = Calls(clock, 1, queue=5)
    _, second, third = await calls.start("a", "b", "c")
    if cancelled_first:
        second.cancel()
        calls.bulkhead._slots.leave()
    else:
        calls.bulkhead._slots.leave()
        second.cancel()
    calls.bulkhead._slots.in_flight += 1  # "a" still runs: the place was another
    calls.bulkhead._slots.limit += 1
    await clock.advance(0)
    assert second.cancelled()
    assert calls.began == ["a", "c"]
    await calls.end("a", "c")
    assert third.result() == "c"
    permits_at_rest(calls.pipeline)


@pytest.mark.parametrize("place_first", [True, False])
async def test_place_and_end_of_the_wait_in_the_same_tick(clock, place_first):
    calls = Calls(clock, 1, queue=5, wait=1.0)
    await calls.start("a")
    if place_first:
        clock.call_at(1_001.0, calls.gates["a"].set)
    second = await calls.start("b")
    slots = calls.bulkhead._slots
    waiter = next(iter(slots._line))
    if place_first:
        slots.leave()
        slots._give_up(waiter)
    else:
        slots._give_up(waiter)
        slots.leave()
    await clock.advance(0)
    assert (second.exception() is None if second.done() else True) == place_first
    for task in (second,):
        task.cancel()


class TestResize:
    async def test_shrinking_cancels_nobody(self, clock):
        calls = Calls(clock, 10, queue=5)
        tasks = await calls.start(*range(8))
        calls.bulkhead.resize(4)
        late = await calls.start("late")
        assert calls.counts() == (8, 1)
        await calls.end(0, 1, 2, 3)
        assert calls.counts() == (4, 1)
        await calls.end(4)
        assert calls.counts() == (4, 0)
        await calls.end(5, 6, 7, "late")
        assert all(task.exception() is None for task in [*tasks, late])
        permits_at_rest(calls.pipeline)

    async def test_growing_lets_in_who_waits(self, clock):
        calls = Calls(clock, 1, queue=5)
        await calls.start(*range(5))
        calls.bulkhead.resize(3)
        await clock.advance(0)
        assert calls.counts() == (3, 2)
        assert calls.bulkhead.limit == 3
        await calls.end(0, 1, 2)
        await calls.end(3, 4)
        permits_at_rest(calls.pipeline)

    def test_wrong_limits_name_the_field(self):
        with pytest.raises(ValueError, match="limit"):
            Bulkhead(1).resize(-1)


class TestGuard:
    async def test_waits_where_it_may(self, clock):
        bulkhead, seen = Bulkhead(1, queue=1, clock=clock), []

        async def work(name):
            async with bulkhead:
                seen.append(name)
                await clock.sleep(1)

        one, two, three = (asyncio.create_task(work(name)) for name in "abc")
        await clock.advance(2)
        assert seen == ["a", "b"]
        assert isinstance(three.exception(), BulkheadFull)
        assert one.done()
        assert two.done()
        permits_at_rest(bulkhead, clock)

    def test_never_waits_in_a_plain_block(self, clock):
        bulkhead = Bulkhead(1, queue=9, clock=clock)
        with bulkhead, pytest.raises(BulkheadFull), bulkhead:
            raise AssertionError
        permits_at_rest(bulkhead)

    @pytest.mark.parametrize("how", ["ok", "fail", "drop"])
    def test_a_permit_gives_its_place_back_once(self, how):
        bulkhead = Bulkhead(2)
        permit, _ = bulkhead.acquire(), bulkhead.acquire()
        for _ in range(3):
            getattr(permit, how)()
        assert bulkhead.in_flight == 1


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"limit": -1}, "limit"), ({"limit": 1.5}, "limit"), ({"queue": -1}, "queue"), ({"wait": -0.1}, "wait")],
    ids=str,
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Bulkhead(**{"limit": 1} | settings)


def test_a_plain_function_holds_a_place_and_never_waits(clock):
    events = []
    bulkhead = Bulkhead(1, queue=9, wait=9.0)
    pipeline = Pipeline("books", bulkhead, clock=clock, sinks=[events.append])

    @pipeline
    def nested(depth):
        return bulkhead.in_flight if depth == 0 else nested(depth - 1)

    assert nested(0) == 1
    with pytest.raises(BulkheadFull):
        nested(1)
    permits_at_rest(bulkhead)
    assert [event.kind for event in events] == ["call", "rejected", "call", "call"]
