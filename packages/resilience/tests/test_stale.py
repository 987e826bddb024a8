"""Old answers, and when they are given."""

import asyncio

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.deadline import Deadline, current_deadline
from bookstore.resilience.errors import CircuitOpen, Rejected
from bookstore.resilience.stale import ENTRIES, Stale
from bookstore.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


class Source:
    """Gives what it is told to."""

    def __init__(self, clock=None):
        self.now = "v1"
        self.calls = 0
        self.clock = clock

    async def __call__(self, *_):
        self.calls += 1
        if self.clock is not None:
            await self.clock.sleep(1)
        if isinstance(self.now, BaseException):
            raise self.now
        return self.now


def made(clock, events=None, **settings):
    policy = Stale(**{"fresh": 10, "stale": 60, **settings})
    return Pipeline("p", policy, clock=clock, sinks=[] if events is None else [events.append])


def ages(events):
    return [e.detail["age"] for e in events if e.kind == "stale"]


async def test_fresh_then_stale_on_error_then_error(clock):
    events = []
    pipe, source = made(clock, events), Source()
    assert await pipe.call(source) == "v1"
    source.now = OSError("down")
    clock.tick(9.999)
    assert await pipe.call(source) == "v1"
    assert (source.calls, ages(events)) == (1, [])
    clock.tick(10.001)
    assert await pipe.call(source) == "v1"
    assert (source.calls, ages(events)) == (2, [20.0])
    clock.tick(49.999)
    assert await pipe.call(source) == "v1"
    clock.tick(0.001)
    with pytest.raises(OSError, match="down"):  # as old as the window is too old
        await pipe.call(source)
    assert ages(events) == [20.0, 69.999]


async def test_an_age_equal_to_fresh_is_not_fresh(clock):
    pipe, source = made(clock), Source()
    await pipe.call(source)
    clock.tick(10)
    source.now = "v2"
    assert await pipe.call(source) == "v2"
    assert source.calls == 2


async def test_success_refreshes(clock):
    events = []
    pipe, source = made(clock, events, fresh=0), Source()
    for source.now in ("v1", "v2"):
        assert await pipe.call(source) == source.now
        clock.tick(50)
    source.now = OSError()
    assert await pipe.call(source) == "v2"
    assert ages(events) == [50.0]


async def test_nothing_kept_the_error_itself(clock):
    error = OSError("down")
    source = Source()
    source.now = error
    with pytest.raises(OSError, match="down") as caught:
        await made(clock).call(source)
    assert caught.value is error


async def test_only_failures_are_covered(clock):
    pipe, source = made(clock, fresh=0), Source()
    await pipe.call(source)
    for source.now in (asyncio.CancelledError(), CircuitOpen("breaker"), KeyboardInterrupt()):
        with pytest.raises(type(source.now)):
            await pipe.call(source)


async def test_refusals_when_named(clock):
    pipe, source = made(clock, fresh=0, on=(OSError, Rejected), classify=lambda _: "ok"), Source()
    await pipe.call(source)
    source.now = CircuitOpen("breaker")
    assert await pipe.call(source) == "v1"
    source.now = OSError("excused by the judge")
    with pytest.raises(OSError, match="excused"):
        await pipe.call(source)
    source.now = KeyError("not named")
    with pytest.raises(KeyError):
        await pipe.call(source)


class Reply:
    def __init__(self, status):
        self.status = status
        self.closed = False

    def close(self):
        self.closed = True


def by_status(outcome):
    if isinstance(outcome.error, LookupError):
        return "ignore"
    if outcome.error is not None:
        return "fail"
    return {200: "ok", 404: "ignore"}.get(outcome.value.status, "fail")


async def test_values_are_judged(clock):
    events = []
    pipe, source = made(clock, events, fresh=0, classify=by_status), Source()
    bad = source.now = Reply(503)
    assert await pipe.call(source) is bad  # nothing better
    assert not bad.closed
    good = source.now = Reply(200)
    assert await pipe.call(source) is good
    missing = source.now = Reply(404)
    assert await pipe.call(source) is missing  # an answer, but none to keep
    source.now = bad
    assert await pipe.call(source) is good
    assert bad.closed
    source.now = LookupError("business")
    with pytest.raises(LookupError):
        await pipe.call(source)
    source.now = OSError()
    assert await pipe.call(source) is good
    assert ages(events) == [0, 0]


async def test_keys(clock):
    source = Source()
    pipe = made(clock)
    await pipe.call(source, "a")
    source.now = "v2"
    assert [await pipe.call(source, key) for key in "ab"] == ["v1", "v2"]
    pipe = made(clock, key=lambda name: name.lower())
    assert [await pipe.call(source, key) for key in "Aa"] == ["v2"] * 2
    with pytest.raises(TypeError, match=r"stale.*key="):
        await made(clock).call(source, [])


async def test_a_store_of_your_own_and_a_bounded_one_otherwise(clock):
    shared, source = {}, Source()
    await made(clock, store=shared, key=lambda *_: "k").call(source)
    source.now = OSError()
    clock.tick(11)
    assert await made(clock, store=shared, key=lambda *_: "k").call(source) == "v1"
    policy = Stale(fresh=10, stale=60)
    pipe, source = Pipeline("p", policy, clock=clock), Source()
    for n in range(ENTRIES):
        await pipe.call(source, n)
    await pipe.call(source, 0)
    await pipe.call(source, "one more")
    assert len(policy._answers) == ENTRIES
    calls = source.calls
    await pipe.call(source, 0)  # used of late, so still there
    assert source.calls == calls
    await pipe.call(source, 1)
    assert source.calls == calls + 1


async def test_one_refresh_for_a_hundred_readers(clock):
    events = []
    source = Source(clock)
    policy = Stale(fresh=10, stale=60, revalidate=True)
    pipe = Pipeline("p", policy, clock=clock, sinks=[events.append])
    first = asyncio.create_task(pipe.call(source))
    await clock.advance(1)
    assert first.result() == "v1"
    clock.tick(20)
    source.now = "v2"
    tasks = [asyncio.create_task(pipe.call(source)) for _ in range(100)]
    await clock.advance(0)
    assert [task.result() for task in tasks] == ["v1"] * 100
    await clock.advance(1)
    assert (source.calls, ages(events)) == (2, [20.0] * 100)
    assert await pipe.call(source) == "v2"
    assert (policy._refreshing, clock.pending) == ({}, 0)


async def test_a_refresh_that_fails_leaves_the_old_answer(clock):
    source = Source()
    pipe = made(clock, revalidate=True, classify=by_status)
    good = source.now = Reply(200)
    await pipe.call(source)
    clock.tick(20)
    for source.now in (OSError(), Reply(503)):
        assert await pipe.call(source) is good
        await clock.advance(0)
    clock.tick(60)
    source.now = OSError()
    with pytest.raises(OSError):
        await pipe.call(source)


async def test_a_refresh_has_no_deadline_of_the_reader(clock):
    seen = []

    async def work():
        seen.append(current_deadline())

    pipe = made(clock, revalidate=True)
    await pipe.call(work)
    clock.tick(20)
    async with Deadline(1.0, clock=clock):
        await pipe.call(work)
    await clock.advance(0)
    assert seen == [None, None]


async def test_cancelled_in_the_call(clock):
    pipe, source = made(clock, fresh=0), Source(clock)
    task = asyncio.create_task(pipe.call(source))
    await clock.advance(1)
    assert task.result() == "v1"
    task = asyncio.create_task(pipe.call(source))
    await clock.advance(0.5)
    task.cancel()
    await clock.advance(0)
    assert task.cancelled()
    assert clock.pending == 0


@pytest.mark.parametrize("field", ["fresh", "stale"])
@pytest.mark.parametrize("value", [-1, float("inf"), None])
def test_wrong_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        Stale(**{"fresh": 1, "stale": 1, field: value})
