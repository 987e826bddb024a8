"""One run for all who ask at the same time."""

import asyncio
import traceback

import pytest

from bookstore.resilience import Pipeline, tasks
from bookstore.resilience.deadline import Deadline, current_deadline
from bookstore.resilience.errors import CircuitOpen, Rejected
from bookstore.resilience.flight import SingleFlight
from bookstore.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


class Work:
    def __init__(self, clock, end=None):
        self.clock = clock
        self.end = end
        self.calls = 0
        self.running = 0
        self.cancelled = 0

    async def __call__(self, key="k", **_):
        self.calls += 1
        self.running += 1
        try:
            await self.clock.sleep(1)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self.end is not None:
            raise self.end
        return (key, self.calls)


def start(pipe, work, *args, times=1, **kwargs):
    return [asyncio.create_task(pipe.call(work, *args, **kwargs)) for _ in range(times)]


async def test_a_hundred_callers_one_call(clock):
    events = []
    flight = SingleFlight()
    work = Work(clock)
    tasks = start(Pipeline("p", flight, clock=clock, sinks=[events.append]), work, "a", times=100)
    await clock.advance(0.5)
    assert flight.in_flight == 1
    await clock.advance(0.5)
    assert [task.result() for task in tasks] == [("a", 1)] * 100
    assert flight.in_flight == clock.pending == 0
    assert sum(e.kind == "coalesced" for e in events) == 99


async def test_what_differs_flies_alone(clock):
    pipe = Pipeline("p", SingleFlight(), clock=clock)
    work, other = Work(clock), Work(clock)
    tasks = [
        *start(pipe, work, "a"),
        *start(pipe, work, "b"),
        *start(pipe, work, key="a"),
        *start(pipe, work, "a", x=1, y=2),
        *start(pipe, work, "a", y=2, x=1),
        *start(pipe, other, "a"),
    ]
    await clock.advance(1)
    assert all(task.done() for task in tasks)
    assert (work.calls, other.calls) == (4, 1)


async def test_a_key_of_your_own(clock):
    pipe = Pipeline("p", SingleFlight(key=lambda name, **_: name.lower()), clock=clock)
    work = Work(clock)
    tasks = [*start(pipe, work, "A", x=[1]), *start(pipe, work, "a")]
    await clock.advance(1)
    assert [task.result() for task in tasks] == [("A", 1)] * 2


async def test_arguments_that_are_no_key(clock):
    with pytest.raises(TypeError, match=r"single_flight.*key="):
        await Pipeline("p", SingleFlight(), clock=clock).call(Work(clock), ["a"])


async def test_nothing_is_kept_after_the_end(clock):
    pipe = Pipeline("p", SingleFlight(), clock=clock)
    work = Work(clock)
    for expected in (1, 2):
        (task,) = start(pipe, work)
        await clock.advance(1)
        assert task.result() == ("k", expected)


async def test_the_leader_is_cancelled_and_the_call_goes_on(clock):
    pipe = Pipeline("p", SingleFlight(), clock=clock)
    work = Work(clock)
    leader, *others = start(pipe, work, times=3)
    await clock.advance(0.5)
    leader.cancel()
    await clock.advance(0.5)
    assert leader.cancelled()
    assert [task.result() for task in others] == [("k", 1)] * 2
    assert work.cancelled == 0


async def test_all_cancelled_the_call_is_too_and_awaited(clock):
    flight = SingleFlight()
    pipe = Pipeline("p", flight, clock=clock)
    work = Work(clock)
    tasks = start(pipe, work, times=3)
    await clock.advance(0.5)
    for task in tasks:
        task.cancel()
    (late,) = start(pipe, work)  # comes when the flight is already given up
    await clock.advance(0)
    assert all(task.cancelled() for task in tasks)
    assert (work.cancelled, work.running) == (1, 1)
    await clock.advance(1)
    assert late.result() == ("k", 2)
    assert flight.in_flight == clock.pending == 0
    assert len(asyncio.all_tasks()) == 1


async def test_cancelled_before_it_began(clock):
    flight = SingleFlight()
    pipe = Pipeline("p", flight, clock=clock)
    work = Work(clock)
    (task,) = start(pipe, work)
    await asyncio.sleep(0)
    task.cancel()
    await clock.advance(0)
    assert task.cancelled()
    assert flight.in_flight == work.running == 0


async def test_cancelled_when_it_has_just_landed(clock):
    flight = SingleFlight()
    pipe = Pipeline("p", flight, clock=clock)
    tasks = []

    async def work():
        await clock.sleep(1)
        tasks[0].cancel()
        return 1

    tasks += start(pipe, work)
    await clock.advance(1)
    assert tasks[0].cancelled()
    assert flight.in_flight == 0


async def test_errors_reach_all_and_are_not_kept(clock):
    error = OSError("down")
    pipe = Pipeline("p", SingleFlight(), clock=clock)
    work = Work(clock, error)
    tasks = start(pipe, work, times=20)
    await clock.advance(1)
    depths = set()
    for task in tasks:
        assert task.exception() is error
    depths = {len(traceback.extract_tb(task.exception().__traceback__)) for task in tasks}
    assert len(depths) == 1
    assert max(depths) < 12  # not one frame more for each who waited
    work.end = None
    (task,) = start(pipe, work)
    await clock.advance(1)
    assert task.result() == ("k", 2)


async def test_refusals_are_fresh_for_each(clock):
    pipe = Pipeline("p", SingleFlight(), clock=clock)
    tasks = start(pipe, Work(clock, CircuitOpen("breaker", 3.0)), times=3)
    await clock.advance(1)
    errors = [task.exception() for task in tasks]
    assert len(set(map(id, errors))) == 3
    assert {(type(error), error.policy, error.retry_after) for error in errors} == {
        (CircuitOpen, "breaker", 3.0)
    }


async def test_a_refusal_that_cant_be_copied_reaches_all(clock):
    class Closed(Rejected):
        def __init__(self, shop, *, until):
            super().__init__(shop)
            self.until = until

    tasks = start(Pipeline("p", SingleFlight(), clock=clock), Work(clock, Closed("books", until=9)), times=3)
    await clock.advance(1)
    assert [(type(task.exception()), task.exception().until) for task in tasks] == [(Closed, 9)] * 3


async def test_closed_unfinished_the_flight_ends_with_the_last_who_waits(clock):
    """As a loop that ends, or a collector of garbage, does with a coroutine: it can't await any more."""
    flight = SingleFlight()
    pipe, work = Pipeline("p", flight, clock=clock), Work(clock)
    first, second = pipe.call(work), pipe.call(work)
    first.send(None)
    second.send(None)
    await clock.advance(0.5)
    first.close()
    await clock.advance(0.1)
    assert (flight.in_flight, work.running) == (1, 1)
    second.close()
    assert flight.in_flight == 0
    await clock.advance(0)
    assert (work.running, work.cancelled, clock.pending) == (0, 1, 0)
    assert not tasks._reapers
    assert len(asyncio.all_tasks()) == 1


async def test_a_run_that_cancels_itself(clock):
    tasks = start(Pipeline("p", SingleFlight(), clock=clock), Work(clock, asyncio.CancelledError()), times=2)
    await clock.advance(1)
    assert all(task.cancelled() for task in tasks)


async def test_the_leaders_deadline_is_not_the_flights(clock):
    pipe = Pipeline("p", SingleFlight(), Deadline(5.0), clock=clock)
    seen = []

    async def work():
        seen.append(current_deadline().remaining())
        await clock.sleep(1)
        return "done"

    async def hurried():
        async with Deadline(0.2, clock=clock):
            return await pipe.call(work)

    leader = asyncio.create_task(hurried())
    await clock.advance(0)
    (patient,) = start(pipe, work)
    await clock.advance(1)
    assert leader.exception() is not None
    assert patient.result() == "done"
    assert seen == [5.0]
