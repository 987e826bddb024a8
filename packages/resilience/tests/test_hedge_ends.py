"""Races that are cancelled, or closed unfinished: who is left, and what becomes of what they bring."""

import asyncio

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.hedge import Hedge

from .races import Answer, Script, SlowLoser, driven


@pytest.fixture
def events():
    return []


@pytest.mark.parametrize("when", [0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
async def test_cancelled_at_any_time_nothing_is_left(clock, when):
    script = Script(clock, (1, "a"), (0.09, OSError("x")), (1, "c"))
    task = asyncio.create_task(Pipeline("p", Hedge(after=0.1, max=2), clock=clock).call(script))
    await clock.advance(when)
    task.cancel()
    await clock.advance(0)
    assert task.cancelled()
    assert script.running == clock.pending == 0
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("when", [0.0, 0.05, 0.15])
async def test_closed_unfinished_nothing_is_left(clock, events, when):
    """As a loop that ends, or a collector of garbage, does with a coroutine: it can't await any more."""
    script = Script(clock, (1, "a"), (1, "b"))
    pipe = Pipeline("p", Hedge(after=0.1, max=2), clock=clock, sinks=[events.append])
    work, step = driven(pipe.call(script))
    while clock.now() < 1000 + when:
        await clock.advance(0.05)
        step()
    work.close()
    await clock.advance(0)
    assert script.running == clock.pending == 0
    assert len(asyncio.all_tasks()) == 1
    assert [e.verdict for e in events if e.kind in ("attempt", "call")] == ["ignore"] * len(
        script.started
    ) + ["ignore"]


async def test_closed_while_the_losers_end_the_winners_value_is_closed(clock):
    answer = Answer("a")
    call, step = driven(Pipeline("p", Hedge(after=0.1), clock=clock).call(SlowLoser(clock, answer)))
    await clock.advance(0.1)
    step()
    await clock.advance(0)
    step()
    call.close()
    await clock.advance(2)
    assert answer.closed
    assert clock.pending == 0
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("how", ["cancelled", "closed"])
@pytest.mark.parametrize("won", [True, False])
async def test_what_losers_bring_while_they_are_awaited_is_closed(clock, how, won):
    late, started = Answer("late"), []

    async def stubborn():
        started.append(1)
        if won and len(started) == 2:
            return "good"
        try:
            await clock.sleep(100)
        except asyncio.CancelledError:
            await clock.sleep(1)
        return late

    call, step = driven(Pipeline("p", Hedge(after=0.1), clock=clock).call(stubborn))
    await clock.advance(0.1)
    step()
    await clock.advance(0)
    if won:
        step()
    else:
        call.throw(asyncio.CancelledError())
    if how == "closed":
        call.close()
        await clock.advance(2)
    else:
        await clock.advance(0.5)
        second = call.throw(asyncio.CancelledError())
        await clock.advance(2)
        assert second.done()
        with pytest.raises(asyncio.CancelledError):
            call.send(None)
    assert late.closed
    assert clock.pending == 0
    assert len(asyncio.all_tasks()) == 1


async def test_cancelled_twice_the_losers_still_end(clock):
    ended = []

    async def slow_to_end():
        try:
            await clock.sleep(100)
        finally:
            await clock.sleep(1)
            ended.append(clock.now())

    task = asyncio.create_task(Pipeline("p", Hedge(after=0.1), clock=clock).call(slow_to_end))
    await clock.advance(0.5)
    for _ in range(3):
        task.cancel()
        await clock.advance(0.1)
        assert not task.done()
    await clock.advance(1)
    assert task.cancelled()
    assert len(ended) == 2


@pytest.mark.parametrize("good", [True, False])
async def test_cancelled_while_the_losers_end_the_winners_value_is_closed(clock, good):
    answer = Answer("a")
    work = SlowLoser(clock, answer, None if good else KeyError())
    hedge = Hedge(after=0.1, on=OSError)
    task = asyncio.create_task(Pipeline("p", hedge, clock=clock).call(work))
    await clock.advance(0.5)  # the hedge has won, and the primary takes its time to end
    task.cancel()
    await clock.advance(2)
    assert task.cancelled()
    assert answer.closed is good
