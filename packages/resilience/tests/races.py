"""What the tests of hedges race: scripts of what each try does, and answers that can be closed."""

import asyncio

from bookstore.resilience import Pipeline


class Answer:
    """A value that can be closed."""

    def __init__(self, name):
        self.name = name
        self.closed = False

    async def aclose(self):
        self.closed = True


class Script:
    """What each try does: seconds, then an answer or an error."""

    def __init__(self, clock, *steps):
        self.clock = clock
        self.steps = steps
        self.started = []
        self.cancelled = 0
        self.running = 0

    async def __call__(self):
        number = len(self.started)
        seconds, end = self.steps[min(number, len(self.steps) - 1)]
        self.started.append(round(self.clock.now() - 1000, 6))
        self.running += 1
        try:
            await self.clock.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            await self.clock.sleep(0)  # it takes a moment to clean up
            raise
        finally:
            self.running -= 1
        if isinstance(end, BaseException):
            raise end
        return end


class SlowLoser:
    """The first try takes a second to end once it is cancelled; the second one wins at once, or fails."""

    def __init__(self, clock, answer, error=None):
        self.clock = clock
        self.answer = answer
        self.error = error
        self.started = 0

    async def __call__(self):
        self.started += 1
        if self.started == 1:
            try:
                await self.clock.sleep(100)
            finally:
                await self.clock.sleep(1)
        if self.error:
            raise self.error
        return self.answer


def driven(coroutine):
    """A coroutine that has begun, and what takes it on to where it waits next, if it can go on."""
    waits_for = [coroutine.send(None)]

    def step():
        if waits_for[0].done():
            waits_for[0] = coroutine.send(None)

    return coroutine, step


async def race(clock, hedge, script, events=(), *, seconds=100.0):
    """The outcome, and after how long it was there."""
    sinks = [] if events == () else [events.append]
    task = asyncio.create_task(Pipeline("p", hedge, clock=clock, sinks=sinks).call(script))
    took = []
    task.add_done_callback(lambda _: took.append(round(clock.now() - 1000, 6)))
    await clock.advance(seconds)
    assert task.done()
    assert script.running == clock.pending == 0
    return task, took[0]
