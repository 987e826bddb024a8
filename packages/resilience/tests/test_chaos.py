"""Faults on purpose, by seeded chance."""

import asyncio

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.chaos import Chaos
from bookstore.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


async def work():
    return "done"


async def count(pipe, times):
    hit = 0
    for _ in range(times):
        try:
            assert await pipe.call(work) == "done"
        except OSError:
            hit += 1
    return hit


async def test_a_share_of_calls_fails(clock):
    assert 60 <= await count(Pipeline("p", Chaos(rate=0.1, fault=OSError), clock=clock), 800) <= 100


@pytest.mark.parametrize(("u", "hit"), [(0.0, 1), (0.4999, 1), (0.5, 0), (0.9, 0)])
async def test_the_rate_is_exact(clock, u, hit):
    clock.random = lambda: u
    assert await count(Pipeline("p", Chaos(0.5, fault=OSError), clock=clock), 1) == hit


@pytest.mark.parametrize(
    "fault", [OSError, OSError("x"), lambda: OSError("x")], ids=["class", "error", "function"]
)
async def test_kinds_of_fault_are_fresh_each_time(clock, fault):
    pipe = Pipeline("p", Chaos(1.0, fault=fault), clock=clock)
    errors = []
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            await pipe.call(work)
        errors.append(caught.value)
    assert errors[0] is not errors[1]


@pytest.mark.parametrize("latency", [2.0, lambda: 2.0], ids=["number", "function"])
async def test_latency_comes_first(clock, latency):
    pipe = Pipeline("p", Chaos(1.0, fault=OSError("x"), latency=latency), clock=clock)
    task = asyncio.create_task(pipe.call(work))
    await clock.advance(1.9)
    assert not task.done()
    await clock.advance(0.1)
    assert isinstance(task.exception(), OSError)
    only_slow = Pipeline("p", Chaos(1.0, latency=latency), clock=clock)
    task = asyncio.create_task(only_slow.call(work))
    await clock.advance(1)
    task.cancel()
    await clock.advance(0)
    assert task.cancelled()
    assert clock.pending == 0
    task = asyncio.create_task(only_slow.call(work))
    await clock.advance(2)
    assert task.result() == "done"


class Particular(Exception):
    """Made of other arguments than it keeps, as httpx's errors and many of one's own are."""

    def __init__(self, code, *, why):
        super().__init__(f"{code}: {why}")
        self.code = code


class Wordy(Exception):
    def __init__(self, what):
        super().__init__(f"it was {what}")


@pytest.mark.parametrize("fault", [Particular(503, why="down"), Wordy("down"), OSError(111, "refused")])
async def test_any_error_will_do(clock, fault):
    pipe = Pipeline("p", Chaos(1.0, fault=fault), clock=clock)
    depths = []
    for _ in range(3):
        with pytest.raises(type(fault)) as caught:
            await pipe.call(work)
        assert str(caught.value) == str(fault)
        assert vars(caught.value) == vars(fault)
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


async def test_a_switch(clock):
    switch = []
    pipe = Pipeline("p", Chaos(1.0, fault=OSError, enabled=lambda: bool(switch)), clock=clock)
    assert await count(pipe, 3) == 0
    switch.append("on")
    assert await count(pipe, 3) == 3
    assert await count(Pipeline("p", Chaos(1.0, fault=OSError, enabled=False), clock=clock), 3) == 0


def test_plain_functions(clock):
    begun = clock.now()
    slow = Pipeline("p", Chaos(1.0, latency=2.0), clock=clock)(lambda: "done")
    assert (slow(), clock.now() - begun) == ("done", 2.0)
    failing = Pipeline("p", Chaos(1.0, fault=OSError), clock=clock)(lambda: "done")
    with pytest.raises(OSError):
        failing()
    assert Pipeline("p", Chaos(0.0, fault=OSError), clock=clock)(lambda: "done")() == "done"


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("rate", {"rate": 1.1, "fault": OSError}),
        ("rate", {"rate": -0.1, "fault": OSError}),
        ("fault", {}),
        ("fault", {"fault": "down"}),
        ("latency", {"latency": -1}),
        ("latency", {"latency": "long"}),
    ],
)
def test_wrong_settings_name_the_field(field, settings):
    with pytest.raises(ValueError, match=field):
        Chaos(**settings)
