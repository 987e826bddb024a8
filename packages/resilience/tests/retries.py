"""A retry alone in a pipeline, and a target for it whose answers are given."""

import pytest

from bookstore.resilience import Pipeline, Retry


class Target:
    """Gives its answers in turn, the last one for ever, and raises those that are errors."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def later(self):
        return self()


class Harness:
    """A retry alone in a pipeline, called the async way and the sync way."""

    def __init__(self, clock, **settings):
        self.clock, self.events, self.slept = clock, [], []
        self.pipeline = Pipeline(
            "books", Retry(**{"delay": 1.0} | settings), clock=clock, sinks=[self.events.append]
        )
        self.sleep, clock.sleep = clock.sleep, self._sleep
        self.pause, clock.pause = clock.pause, self._pause

    async def _sleep(self, seconds):
        self.slept.append(seconds)
        await self.sleep(seconds)

    def _pause(self, seconds):
        self.slept.append(seconds)
        self.pause(seconds)

    def kinds(self):
        return [event.kind for event in self.events]

    async def run(self, target, how="async"):
        if how == "sync":
            return self.pipeline(target)()
        return await self.clock.finish(self.pipeline.call(target.later))


both = pytest.mark.parametrize("how", ["async", "sync"])
