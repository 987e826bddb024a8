"""Limits in this process: arithmetic, fairness of the line, cancellation."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.errors import RateLimited
from bookstore.resilience.quota import Gcra, Keys, Quota, SlidingLog
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.store import Decision, Local
from bookstore.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def granted(limiter, times, key="", cost=1):
    return sum(limiter.try_acquire(key, cost).allowed for _ in range(times))


# --- arithmetic ----------------------------------------------------------------------------------------


def test_gcra_lets_the_burst_through_then_one_per_step(clock):
    limiter = RateLimit(Quota(10, per=1.0, burst=5), clock=clock)
    assert granted(limiter, 5) == 5
    refused = limiter.try_acquire()
    assert refused == Decision(allowed=False, remaining=0, retry_after=0.1, reset_after=0.5)
    clock.tick(0.1)
    assert granted(limiter, 2) == 1
    clock.tick(10)
    assert granted(limiter, 200) == 5


def test_a_refusal_costs_nothing(clock):
    limiter = RateLimit(Quota(10, burst=5), clock=clock)
    assert limiter.try_acquire(cost=3) == Decision(
        allowed=True, remaining=2, retry_after=0.0, reset_after=pytest.approx(0.3)
    )
    for _ in range(50):
        refused = limiter.try_acquire(cost=3)
        assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 2, 0.1)
    assert granted(limiter, 3) == 2


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
@pytest.mark.parametrize("cost", [6, 0, -1, 1.5, True])
def test_a_cost_that_can_never_be_granted_is_a_mistake(clock, algorithm, cost):
    limiter = RateLimit(Quota(5, algorithm=algorithm), clock=clock)
    with pytest.raises(ValueError, match="cost"):
        limiter.try_acquire(cost=cost)
    with pytest.raises(ValueError, match="cost"):
        RateLimit(Quota(5, algorithm=algorithm), cost=cost)


def test_fractions_of_a_call_are_not_lost(clock):
    limiter = RateLimit(Quota(1.5, burst=3), clock=clock)
    admitted = 0
    for _ in range(60):
        admitted += limiter.try_acquire().allowed
        clock.tick(0.5)
    assert admitted == 47


def test_rest_adds_to_what_is_left_up_to_the_burst(clock):
    limiter = RateLimit(Quota(10, burst=10), clock=clock)
    assert granted(limiter, 5) == 5
    clock.tick(0.11)
    assert limiter.try_acquire().remaining == 5  # 6.1 less the one just taken
    clock.tick(60)
    assert limiter.try_acquire().remaining == 9


def test_sliding_log_forgets_a_call_when_it_is_as_old_as_the_window(clock):
    limiter = RateLimit(Quota(5, per=1.0, algorithm="sliding_log"), clock=clock)
    clock.tick(0.9)
    assert granted(limiter, 9) == 5
    clock.tick(0.1)
    refused = limiter.try_acquire()
    assert refused == Decision(allowed=False, remaining=0, retry_after=0.9, reset_after=0.9)
    clock.tick(0.9)
    assert granted(limiter, 9) == 5


def test_sliding_log_tells_when_a_higher_cost_fits(clock):
    limiter = RateLimit(Quota(4, per=10.0, algorithm="sliding_log"), clock=clock)
    assert limiter.try_acquire() == Decision(allowed=True, remaining=3, retry_after=0.0, reset_after=10.0)
    for _ in range(2):
        clock.tick(1)
        limiter.try_acquire()
    assert limiter.try_acquire(cost=3).retry_after == 9.0  # when the calls of 0 s and 1 s have left
    assert limiter.try_acquire(cost=1).allowed
    clock.tick(8)
    assert limiter.try_acquire(cost=1) == Decision(
        allowed=True, remaining=0, retry_after=0.0, reset_after=10.0
    )


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_keys_do_not_share(clock, algorithm):
    limiter = RateLimit(Quota(2, algorithm=algorithm), clock=clock)
    assert [granted(limiter, 3, key) for key in "abc"] == [2, 2, 2]


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_key_churn_forgets_only_keys_at_rest(clock, algorithm):
    limiter = RateLimit(Quota(1, per=10.0, algorithm=algorithm), clock=clock)
    states = limiter.store.open(limiter.quota, "", None).meter
    states = states._full if algorithm == "gcra" else states._logs
    for n in range(1500):
        assert limiter.try_acquire(f"a{n}").allowed
    assert len(states) == 1500  # all of them still matter
    clock.tick(5)
    for n in range(400):
        limiter.try_acquire(f"b{n}")
    clock.tick(5)
    for n in range(200):
        limiter.try_acquire(f"c{n}")
    assert 600 <= len(states) <= 648
    assert not limiter.try_acquire("b7").allowed


def test_limits_share_counts_by_store_name_and_quota(clock):
    store = Local()
    quota = Quota(1, per=10.0)
    one, two, other = (RateLimit(quota, store=store, name=name, clock=clock) for name in ("a", "a", "b"))
    assert [limit.try_acquire().allowed for limit in (one, two, other)] == [True, False, True]
    assert repr(store) == "Local()"
    assert store == Local() != quota  # as a setting
    assert RateLimit(quota, clock=clock).try_acquire().allowed


async def test_decide_is_the_same_for_any_store(clock):
    limiter = RateLimit(Quota(1), clock=clock)
    assert (await limiter.decide()).allowed
    assert not (await limiter.decide()).allowed


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": -1}),
        ("limit", {"limit": float("nan")}),
        ("limit", {"limit": float("inf")}),
        ("limit", {"limit": 1.5, "algorithm": "sliding_log"}),
        ("per", {"limit": 1, "per": 0}),
        ("per", {"limit": 1, "per": -1.0}),
        ("burst", {"limit": 1, "burst": 0}),
        ("burst", {"limit": 1, "burst": 1.5}),
        ("burst", {"limit": 5, "burst": 6, "algorithm": "sliding_log"}),
        ("burst", {"limit": 5, "burst": 4, "algorithm": "sliding_log"}),
        ("algorithm", {"limit": 1, "algorithm": "leaky"}),
    ],
)
def test_wrong_quotas_name_the_field(field, settings):
    with pytest.raises(ValueError, match=f"^{field} must"):
        Quota(**settings)


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan")])
def test_wrong_waits_name_the_field(wait):
    with pytest.raises(ValueError, match="wait"):
        RateLimit(Quota(1), wait=wait)


def test_quota_defaults():
    assert Quota(100) == Quota(100, per=1.0, burst=100, algorithm="gcra")
    assert Quota(0.5).most == 1
    assert Quota(2.9).most == 2


# --- waiting -------------------------------------------------------------------------------------------


def joined(limiter, clock, sinks=()):
    return Pipeline("p", limiter, clock=clock, sinks=sinks)


async def now(clock):
    return clock.now()


async def test_waiters_are_let_in_one_step_apart_in_order(clock):
    limiter = RateLimit(Quota(10, burst=1), wait=1.0)
    pipe = joined(limiter, clock)
    start = clock.now()
    tasks = [asyncio.create_task(pipe.call(now, clock)) for _ in range(4)]
    await clock.advance(1)
    assert [round(t.result() - start, 6) for t in tasks] == [0, 0.1, 0.2, 0.3]
    assert clock.pending == 0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_a_wait_that_would_be_too_long_is_refused_at_once_and_free(clock, algorithm):
    limiter = RateLimit(Quota(1, per=0.1, algorithm=algorithm), wait=0.2)
    pipe = joined(limiter, clock)
    tasks = [asyncio.create_task(pipe.call(now, clock)) for _ in range(5)]
    await clock.advance(0)
    assert [t.done() for t in tasks] == [True, False, False, True, True]
    for refused in tasks[3:]:
        assert isinstance(refused.exception(), RateLimited)
        assert refused.exception().retry_after == 0.3
    await clock.advance(0.3)
    assert [t.exception() is None for t in tasks] == [True, True, True, False, False]
    assert limiter.try_acquire().allowed  # the refused ones took nothing


async def test_a_newcomer_never_overtakes_a_big_one(clock):
    limiter = RateLimit(Quota(10, burst=2), wait=1.0, cost=2)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    start = clock.now()
    big = asyncio.create_task(pipe.call(now, clock))
    await clock.advance(0.1)
    assert not limiter.try_acquire(cost=1).allowed
    assert limiter.try_acquire(cost=1).remaining == 0
    await clock.advance(0.1)
    assert big.result() - start == pytest.approx(0.2)


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_a_cancelled_waiter_gives_its_place_to_those_behind(clock, algorithm):
    limiter = RateLimit(Quota(1, per=0.1, algorithm=algorithm), wait=1.0)
    pipe = joined(limiter, clock)
    start = clock.now()
    tasks = [asyncio.create_task(pipe.call(now, clock)) for _ in range(5)]
    await clock.advance(0.05)
    tasks[2].cancel()
    await clock.advance(0)
    assert tasks[2].cancelled()
    tasks.append(asyncio.create_task(pipe.call(now, clock)))
    await clock.advance(1)
    times = [round(t.result() - start, 6) for t in tasks if not t.cancelled()]
    assert times == [0, 0.1, 0.2, 0.3, 0.4]
    assert clock.pending == 0


async def test_the_last_waiter_to_leave_leaves_nothing(clock):
    limiter = RateLimit(Quota(1, per=1.0), wait=1.0)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    for _ in range(50):
        task = asyncio.create_task(pipe.call(now, clock))
        await clock.advance(0)
        task.cancel()
        await clock.advance(0)
    assert clock.pending == 0
    assert len(limiter.store.open(limiter.quota, "", None).line) == 0
    await clock.advance(1)
    assert limiter.try_acquire().allowed


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_cancelled_in_the_tick_of_its_turn(clock, cancel_first):
    limiter = RateLimit(Quota(1, per=1.0), wait=2.0)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    task, behind = (asyncio.create_task(pipe.call(now, clock)) for _ in range(2))
    await clock.advance(0)
    line = limiter.store.open(limiter.quota, "", None).line
    waiter = line._lines[""][0]
    steps = [task.cancel, waiter.timer.fn]
    for step in steps if cancel_first else steps[::-1]:
        step()
    waiter.timer.cancel()
    await clock.advance(2)
    assert task.cancelled()
    assert behind.result()
    assert len(line) == clock.pending == 0


async def test_keys_and_costs_from_the_call(clock):
    limiter = RateLimit(Quota(2), key=lambda user: user, cost=2)

    async def user(name):
        return name

    pipe = joined(limiter, clock)
    assert await pipe.call(user, "ann") == "ann"
    assert await pipe.call(user, "bob") == "bob"
    with pytest.raises(RateLimited):
        await pipe.call(user, "ann")


async def test_a_refusal_is_told_with_its_retry_after(clock):
    events = []
    pipe = joined(RateLimit(Quota(1, per=4.0), name="slow"), clock, [events.append])
    await pipe.call(now, clock)
    refusals = []
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await pipe.call(now, clock)
        refusals.append(caught.value)
    assert refusals[0] is not refusals[1]
    assert (refusals[0].policy, refusals[0].retry_after) == ("slow", 4.0)
    told = [e for e in events if e.kind == "rejected"]
    assert [(e.policy, e.verdict, e.detail) for e in told] == [("slow", "ignore", {"retry_after": 4.0})] * 2


# --- alone, and for plain functions --------------------------------------------------------------------


async def test_as_a_guard(clock):
    limiter = RateLimit(Quota(10, burst=1), wait=0.1, clock=clock)
    async with limiter:
        pass

    async def enter():
        async with limiter:
            return clock.now()

    start = clock.now()
    waits, late = (asyncio.create_task(enter()) for _ in range(2))
    await clock.advance(0.2)
    assert waits.result() - start == pytest.approx(0.1)
    assert isinstance(late.exception(), RateLimited)
    with limiter:
        pass
    with pytest.raises(RateLimited) as refused, limiter:
        pass
    assert refused.value.retry_after == 0.1
    clock.tick(5)
    permit = limiter.acquire()
    for settle in (permit.ok, permit.drop, partial(permit.fail, ValueError())):
        settle()
    assert not limiter.try_acquire().allowed


def test_plain_functions_block_while_they_wait(clock):
    limiter = RateLimit(Quota(10, burst=1), wait=0.1, key=lambda: "k")

    @joined(limiter, clock)
    def instant():
        return clock.now()

    start = clock.now()
    assert [instant() - start for _ in range(3)] == pytest.approx([0, 0.1, 0.2])
    unlucky = RateLimit(Quota(10, burst=1))
    work = joined(unlucky, clock)(lambda: 1)
    assert work() == 1
    with pytest.raises(RateLimited):
        work()


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_threads_get_no_more_than_the_quota(clock, algorithm):
    work = joined(RateLimit(Quota(500, per=1000.0, algorithm=algorithm)), clock)(lambda: True)

    def many(_):
        done = 0
        for _ in range(400):
            with suppress(RateLimited):
                done += work()
        return done

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(many, range(4))) == 500
    finally:
        sys.setswitchinterval(interval)


def test_the_limits_own_clock_wins_over_the_pipelines(clock):
    own = FakeClock()
    limiter = RateLimit(Quota(1, per=5.0), clock=own)
    work = joined(limiter, clock)(lambda: 1)
    work()
    clock.tick(100)
    with pytest.raises(RateLimited):
        work()
    own.tick(5)
    assert work() == 1


# --- against a count by hand ---------------------------------------------------------------------------


@pytest.mark.parametrize("meter", [Gcra, SlidingLog])
def test_no_window_ever_gets_more(clock, meter):
    counts = meter(Quota(7, per=2.0, algorithm="gcra" if meter is Gcra else "sliding_log"))
    spent = []
    for _ in range(3000):
        clock.tick(clock.random() * 0.4)
        cost = 1 + int(clock.random() * 4)
        delay = counts.reserve("", cost, clock.now())
        if delay == 0:
            spent += [clock.now()] * cost
        else:
            assert counts.reserve("", cost, clock.now(), 0) == delay  # asked again, the same answer
            clock.tick(delay)
            assert counts.reserve("", cost, clock.now()) == 0  # and what was promised is kept
            spent += [clock.now()] * cost
    most = 14 if meter is Gcra else 7
    for index, begin in enumerate(spent):
        assert sum(1 for t in spent[index : index + 30] if t < begin + 2.0 - 1e-6) <= most


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_what_is_due_by_rounding_alone_is_due(algorithm):
    counts = Quota(1, per=0.1, algorithm=algorithm).meter()
    for n in range(2000):
        assert counts.reserve("", 1, 1000 + n * 0.1) == 0.0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_remaining_by_the_meter_alone(algorithm):
    counts = Quota(4, per=2.0, algorithm=algorithm).meter()
    assert (counts.remaining("", 10.0), counts.reset_after("", 10.0)) == (4, 0.0)
    for _ in range(8):
        counts.reserve("", 1, 10.0, wait=99.0)
    assert counts.remaining("", 10.0) == 0  # not less, with four in line
    assert counts.reserve("other", 4, 10.0) == 0.0
    assert counts.remaining("other", 11.999) == (3 if algorithm == "gcra" else 0)
    assert counts.remaining("other", 12.0) == 4
    assert counts.reset_after("other", 11.5) == 0.5
    assert counts.reset_after("other", 99.0) == 0.0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_few_keys_are_kept_and_one_in_use_always(algorithm):
    counts = Quota(2, per=10.0, algorithm=algorithm).meter()
    states = counts._full if algorithm == "gcra" else counts._logs
    for n in range(10):
        counts.reserve(f"a{n}", 1, 0.0)
    counts.reserve("new", 1, 100.0)
    assert len(states) == 11  # not worth a look yet
    counts.reserve("used", 1, 110.0)
    counts.reserve("used", 1, 119.0)
    for n in range(1100):
        counts.reserve(f"b{n}", 1, 121.0)
    assert "a0" not in states
    assert counts.remaining("used", 121.0) == 1


def test_a_log_under_steady_use_stays_short():
    counts = SlidingLog(Quota(5, per=1.0, algorithm="sliding_log"))
    for n in range(500):
        counts.reserve("", 1, n * 0.25)
    assert len(counts._logs[""]) <= 5


def test_keys_are_looked_through_seldom():
    looks = []
    keys = Keys(lambda state, _: looks.append(state))
    for n in range(20_000):
        keys.welcome(0.0)
        keys[str(n)] = n
    assert len(keys) == 20_000
    assert len(looks) < 2 * 20_000
