"""Limits that learn: the published steps, and the places that follow them."""

import asyncio
from functools import partial

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.adaptive import Adaptive
from bookstore.resilience.errors import BulkheadFull, CircuitOpen
from bookstore.resilience.limits import AIMD, Gradient2, Limit, Vegas
from bookstore.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def steps(limit, *samples):
    seen = []
    for sample in samples:
        limit.sample(*sample)
        seen.append(limit.limit)
    return seen


# --- AIMD ----------------------------------------------------------------------------------------------


def test_aimd_steps():
    assert steps(AIMD(initial=20), (0.001, 10)) == [21]
    assert steps(AIMD(initial=20), (0.001, 9)) == [20]
    assert steps(AIMD(initial=30), (0, 0, "fail"), (0, 0, "fail")) == [27, 24]
    assert steps(AIMD(initial=21, max=21), (0.001, 21)) == [21]
    assert steps(AIMD(initial=10, min=10), (0.001, 10, "fail")) == [10]
    assert steps(AIMD(initial=20), (5.0, 20), (5.1, 20)) == [21, 18]
    assert steps(AIMD(initial=20, ratio=0.5), (0, 20, "ignore"), (0, 20, "fail")) == [20, 10]


# --- Vegas ---------------------------------------------------------------------------------------------


def small(**settings):
    return Vegas(alpha=3, beta=6, initial=10, max=20, **settings)


@pytest.mark.parametrize(
    ("limit", "samples", "expected"),
    [
        (small(), [(10, 10), (10, 11)], [10, 16]),
        (small(), [(10, 10), (50, 11)], [10, 9]),
        (small(), [(10, 10), (14, 14)], [10, 10]),
        (small(), [(10, 10), (10, 4)], [10, 10]),  # not in use
        (small(), [(10, 10), (10, 5), (10, 8), (10, 10)], [10, 16, 20, 20]),
        (small(), [(10, 10), (12.4, 10)], [10, 11]),  # a queue of 2: one up
        (small(), [(10, 10), (5, 10), (10, 10)], [10, 10, 10]),  # a new low, and a queue of 5 beside it
        (small(), [(0, 10), (-1, 10), (10, 10), (10, 10)], [10, 10, 10, 16]),  # no such latency
        (Vegas(initial=10_000, max=20_000), [(10, 5000), (10, 6000)], [10_000, 10_024]),
        (
            Vegas(initial=100, max=200, decrease=lambda n: n / 2),
            [(10, 100), (20, 100), (20, 100)],
            [100, 50, 25],
        ),
        (
            Vegas(initial=100, max=200, decrease=lambda n: n / 2, smoothing=0.5),
            [(10, 100), (20, 100), (20, 100)],
            [100, 75, 56],
        ),
        (Vegas(initial=10, increase=lambda n: n * 2), [(10, 10), (12.4, 10)], [10, 20]),
        (Vegas(initial=10, threshold=lambda n: n), [(10, 10), (99, 10)], [10, 16]),
        (Vegas(initial=1, max=2), [(10, 1), (10, 1, "fail")], [1, 1]),
        (Vegas(initial=10, min=8), [(9, 9, "fail")] * 3, [9, 8, 8]),
    ],
)
def test_vegas_steps(limit, samples, expected):
    assert steps(limit, *samples) == expected


def test_vegas_learns_no_latency_from_a_failure():
    limit = small()
    assert steps(limit, (10, 10), (0.001, 10, "fail"), (10, 10)) == [10, 9, 15]


def test_vegas_measures_anew_after_a_while(clock):
    clock.random = lambda: 0.0
    limit = small(probe=4, clock=clock)  # every .5 * 4 * 10 samples
    assert steps(limit, (1, 10), *[(10, 2)] * 18) == [10] * 19
    assert steps(limit, (10, 10), (10, 10)) == [10, 16]  # the 20th says that 10 is what it takes now


# --- Gradient2 -----------------------------------------------------------------------------------------


def test_gradient2_grows_while_latency_is_even():
    limit = Gradient2(initial=20, min=4, max=200)
    assert steps(limit, *[(1.0, 20)] * 3) == [20, 21, 22]  # .8 more each
    assert limit._estimate == pytest.approx(22.4)
    assert steps(limit, *[(1.0, 300)] * 400)[-1] == 200


def test_gradient2_steps_with_rising_latency():
    limit = Gradient2(initial=100, max=200)
    steps(limit, (1.0, 100))
    assert limit._estimate == pytest.approx(100.8)
    steps(limit, (4.0, 100))  # the mean is 2.5: gradient 1.5 * 2.5 / 4
    assert limit._estimate == pytest.approx(100.8 * 0.8 + 0.2 * (100.8 * 0.9375 + 4))
    before = limit._estimate
    steps(limit, (100.0, 100))  # the mean is 35: gradient .525
    assert limit._estimate == pytest.approx(before * 0.8 + 0.2 * (before * 0.525 + 4))


def test_gradient2_never_falls_by_more_than_half_at_once():
    limit = Gradient2(initial=100, smoothing=1.0, queue=0, min=30)
    assert steps(limit, *[(1.0, 1)] * 10, (40.0, 100), (40.0, 100), (40.0, 100))[-3:] == [50, 30, 30]


def test_gradient2_averages_plainly_then_exponentially():
    limit = Gradient2(window=9)
    steps(limit, *[(float(n), 0) for n in range(1, 11)])
    assert limit._long == pytest.approx(5.5)
    steps(limit, (10.5, 0))
    assert limit._long == pytest.approx(5.5 + 5 * 0.2)


def test_gradient2_forgets_a_long_time_under_load():
    limit = Gradient2()
    steps(limit, *[(10.0, 0)] * 10)
    steps(limit, (1.0, 0))
    assert limit._long == pytest.approx((10 - 9 * 2 / 601) * 0.95)


def test_gradient2_stands_still_when_not_in_use_and_shrinks_on_failure():
    limit = Gradient2(initial=20, queue=lambda n: n // 5)
    assert steps(limit, (1.0, 9), (0, 20), (1.0, 20, "ignore")) == [20, 20, 20]
    steps(limit, (0.001, 1, "fail"))
    assert limit._estimate == pytest.approx(20 * 0.8 + 0.2 * (10 + 4))
    assert limit._long == 1.0


@pytest.mark.parametrize(
    ("kind", "field", "settings"),
    [
        (AIMD, "min", {"min": 0}),
        (AIMD, "max", {"min": 5, "max": 4, "initial": 5}),
        (AIMD, "max", {"max": 0}),
        (AIMD, "initial", {"initial": 0}),
        (AIMD, "initial", {"initial": 201}),
        (AIMD, "ratio", {"ratio": 1.0}),
        (AIMD, "ratio", {"ratio": 0}),
        (AIMD, "timeout", {"timeout": 0}),
        (Vegas, "smoothing", {"smoothing": 0}),
        (Vegas, "probe", {"probe": 0}),
        (Gradient2, "smoothing", {"smoothing": 1.1}),
        (Gradient2, "tolerance", {"tolerance": 0.9}),
        (Gradient2, "window", {"window": 0}),
        (Adaptive, "queue", {"queue": -1}),
        (Adaptive, "wait", {"wait": -1}),
        (Adaptive, "limit", {"limit": 7}),
        (Adaptive, "kind", {"limit": {"kind": "reno"}}),
        (Adaptive, "initail", {"limit": {"initail": 3}}),
        (Adaptive, "initial", {"limit": {"initial": 0}}),
    ],
)
def test_wrong_settings_name_the_field(kind, field, settings):
    with pytest.raises(ValueError, match=field):
        kind(**settings)


def test_a_limit_from_plain_settings():
    adaptive = Adaptive(limit={"kind": "aimd", "initial": 3})
    assert isinstance(adaptive.limit, AIMD)
    assert adaptive.limit.limit == 3
    assert isinstance(Adaptive(limit={}).limit, Gradient2)
    with pytest.raises(TypeError, match="abstract"):
        Limit()


# --- the policy ----------------------------------------------------------------------------------------


async def hold(clock, seconds, error=None):
    await clock.sleep(seconds)
    if error is not None:
        raise error
    return seconds


def start(pipe, *args, times=1):
    return [asyncio.create_task(pipe.call(hold, *args)) for _ in range(times)]


async def test_places_follow_the_limit(clock):
    adaptive = Adaptive(AIMD(initial=2, max=4), queue=10)
    pipe = Pipeline("p", adaptive, clock=clock)
    tasks = start(pipe, clock, 1.0, times=6)
    await clock.advance(0)
    assert (adaptive.in_flight, adaptive.waiting) == (2, 4)
    await clock.advance(1.0)
    assert adaptive.limit.limit == 4
    assert (adaptive.in_flight, adaptive.waiting) == (4, 0)
    await clock.advance(1.0)
    assert all(task.done() for task in tasks)
    assert adaptive.in_flight == clock.pending == 0


async def test_failures_shrink_and_cancel_nobody(clock):
    adaptive = Adaptive(AIMD(initial=8, ratio=0.5))
    pipe = Pipeline("p", adaptive, clock=clock)
    slow = start(pipe, clock, 5.0, times=6)
    failing = start(pipe, clock, 1.0, ValueError("x"), times=2)
    await clock.advance(1.0)
    assert all(isinstance(task.exception(), ValueError) for task in failing)
    assert (adaptive.limit.limit, adaptive.in_flight) == (2, 6)
    with pytest.raises(BulkheadFull):
        await pipe.call(hold, clock, 0)
    await clock.advance(5.0)
    assert all(task.exception() is None for task in slow)
    assert await pipe.call(hold, clock, 0) == 0


async def test_what_is_cancelled_or_refused_inside_teaches_nothing(clock):
    adaptive = Adaptive(AIMD(initial=4))
    pipe = Pipeline("p", adaptive, clock=clock)
    for _ in range(100):
        (task,) = start(pipe, clock, 1.0)
        await clock.advance(0.5)
        task.cancel()
        await clock.advance(0)
    with pytest.raises(CircuitOpen):
        await pipe.call(hold, clock, 0, CircuitOpen("breaker"))
    assert (adaptive.limit.limit, adaptive.in_flight, clock.pending) == (4, 0, 0)


async def test_cancelled_in_line(clock):
    adaptive = Adaptive(AIMD(initial=1), queue=2, wait=3.0)
    pipe = Pipeline("p", adaptive, clock=clock)
    first, second, third = start(pipe, clock, 1.0, times=3)
    await clock.advance(0.5)
    second.cancel()
    await clock.advance(0.5)
    assert first.done()
    assert not third.done()
    await clock.advance(1.0)
    assert third.result() == 1.0
    assert (adaptive.in_flight, adaptive.waiting, clock.pending) == (0, 0, 0)


async def test_a_wait_ends(clock):
    pipe = Pipeline("p", Adaptive(AIMD(initial=1), queue=1, wait=0.5), clock=clock)
    start(pipe, clock, 1.0)
    (late,) = start(pipe, clock, 1.0)
    await clock.advance(0.5)
    assert isinstance(late.exception(), BulkheadFull)
    await clock.advance(1)


async def test_classify_sees_values_and_its_failure_gives_the_place_back(clock):
    def judge(outcome):
        if outcome.value == "bad":
            return "fail"
        raise KeyError(outcome.value)

    async def say(word):
        return word

    adaptive = Adaptive(AIMD(initial=10), classify=judge)
    pipe = Pipeline("p", adaptive, clock=clock)
    assert await pipe.call(say, "bad") == "bad"
    assert adaptive.limit.limit == 9
    with pytest.raises(KeyError):
        await pipe.call(say, "odd")
    assert (adaptive.limit.limit, adaptive.in_flight) == (9, 0)


async def test_what_matters_less_is_shed_first(clock):
    def share(_clock, _seconds, _error=None, *, background=False):
        return 0.5 if background else 1.0

    async def work(clock, seconds, *, background):  # noqa: ARG001 - the share looks at it
        await clock.sleep(seconds)

    pipe = Pipeline("p", Adaptive(AIMD(initial=4), share=share), clock=clock)
    running = start(pipe, clock, 1.0, times=2)
    await clock.advance(0)
    with pytest.raises(BulkheadFull):
        await pipe.call(work, clock, 1.0, background=True)
    running += start(pipe, clock, 1.0)
    await clock.advance(1.0)
    assert [task.exception() for task in running] == [None] * 3


async def test_as_a_guard_settled_once(clock):
    adaptive = Adaptive(AIMD(initial=2, max=9), clock=clock)
    async with adaptive:
        assert adaptive.in_flight == 1
    assert adaptive.limit.limit == 3
    permit = adaptive.acquire()
    for settle in (partial(permit.fail, ValueError(), elapsed=1.0), permit.ok, permit.drop):
        settle()
    assert (adaptive.limit.limit, adaptive.in_flight) == (2, 0)
    with adaptive, adaptive:
        with pytest.raises(BulkheadFull):
            adaptive.acquire()
        with pytest.raises(BulkheadFull):
            await adaptive.admit()
    adaptive.acquire().drop()
    assert adaptive.in_flight == 0


def test_gradient2_drift_lasts_only_until_the_next_sample_while_warming_up():
    """As in the original, whose first ten samples are a plain mean, whatever was taken off it between."""
    limit = Gradient2(initial=20, min=1, max=200, tolerance=1.0, smoothing=1.0)
    for rtt in (9.0, 1.0):
        limit.sample(rtt, 1, "ok")  # the mean is 5, more than twice the last
    limit.sample(10.0, 20, "ok")
    assert limit.limit == int(20 * (20 / 3) / 10 + 4)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Vegas, "alpha", -1),
        (Vegas, "beta", "six"),
        (Vegas, "threshold", True),
        (Vegas, "increase", 3),
        (Vegas, "decrease", 0.5),
        (Gradient2, "queue", -1),
        (Gradient2, "queue", float("nan")),
    ],
)
def test_wrong_curves_name_the_field(kind, field, value):
    with pytest.raises(ValueError, match=field):
        kind(**{field: value})
