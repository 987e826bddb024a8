import ast
import asyncio
import time
from pathlib import Path

import pytest

import bookstore.resilience
from bookstore.resilience import Pipeline, Retry
from bookstore.resilience.clock import SYSTEM, dice
from bookstore.resilience.testing import FakeClock

SOURCE = Path(bookstore.resilience.__file__).parent
BANNED_MODULES = {"time", "random", "datetime"}
BANNED_OF_ASYNCIO = {"sleep", "timeout", "timeout_at", "wait_for"}


def crimes(source):
    """Uses of time, sleep and chance that don't go through a clock."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in BANNED_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in BANNED_MODULES:
                yield module
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "asyncio":
                yield from (alias.name for alias in names if alias.name in BANNED_OF_ASYNCIO)
            case ast.Attribute(value=ast.Name(id="asyncio"), attr=attr) if attr in BANNED_OF_ASYNCIO:
                yield f"asyncio.{attr}"
            case ast.Attribute(value=ast.Name(id="loop"), attr="time" | "call_later" | "call_at" as attr):
                yield f"loop.{attr}"
            case ast.Attribute(value=ast.Call(func=ast.Name(id="get_running_loop")), attr=attr) if attr in {
                "time",
                "call_later",
                "call_at",
            }:
                yield attr


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.name)
def test_only_the_clock_knows_time_and_chance(path):
    found = list(crimes(path.read_text()))
    assert bool(found) == (path.name == "clock.py"), found


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import random as r",
        "from time import monotonic",
        "from datetime import datetime",
        "from asyncio import sleep",
        "import asyncio\nasyncio.timeout(1)",
        "loop.time()",
        "get_running_loop().call_later(1, f)",
    ],
)
def test_crimes_are_found(source):
    assert list(crimes(source))


class TestSystemClock:
    async def test_is_the_real_thing(self):
        assert abs(SYSTEM.now() - time.monotonic()) < 1
        assert abs(SYSTEM.wall() - time.time()) < 1
        assert 0 <= SYSTEM.random() < 1
        await SYSTEM.sleep(0)
        SYSTEM.pause(0)

    @pytest.mark.parametrize("when", [-5, 0])
    async def test_timers_in_the_past_fire_at_once(self, when):
        fired = asyncio.Event()
        SYSTEM.call_at(SYSTEM.now() + when, fired.set)
        await fired.wait()

    async def test_timers_are_set_for_their_time(self):
        handle = SYSTEM.call_at(SYSTEM.now() + 60, pytest.fail)
        left = handle.when() - asyncio.get_running_loop().time()
        handle.cancel()
        assert 59 < left <= 60


def test_dice_repeat_themselves():
    one, other = dice(7), dice(7)
    assert [one() for _ in range(5)] == [other() for _ in range(5)]
    assert all(0 <= one() < 1 for _ in range(100))


class Bare:
    """What a clock must have, and no more."""

    def __init__(self, clock):
        self.now, self.wall, self.random = clock.now, clock.wall, clock.random
        self.sleep, self.call_at = clock.sleep, clock.call_at


def test_a_clock_needs_no_pause_of_its_own(clock, monkeypatch):
    slept = []
    monkeypatch.setattr(type(SYSTEM), "pause", slept.append)
    pipeline = Pipeline("books", Retry(attempts=2, delay=5.0), clock=Bare(clock))
    with pytest.raises(ValueError):
        pipeline(int)("x")
    assert slept == [5.0]


class TestFakeClock:
    def test_starts_at_a_whole_second_and_stands_still(self, clock):
        assert clock.now() == clock.now() == int(clock.now())
        assert FakeClock(5.0).now() == 5.0

    def test_tick_moves_time_only(self, clock):
        fired = []
        clock.call_at(clock.now() + 1, lambda: fired.append(1))
        before = clock.wall()
        clock.tick(5)
        assert clock.now() == 1_005.0
        assert clock.wall() == before + 5
        assert fired == []
        assert clock.pending == 1

    def test_tenths_add_up(self, clock):
        for _ in range(10_000):
            clock.tick(0.1)
        assert clock.now() == 2_000.0

    async def test_advance_fires_in_order_at_their_times(self, clock):
        fired = []
        for after in (7, 3, 11, 3):
            clock.call_at(1_000 + after, lambda after=after: fired.append((after, clock.now())))
        await clock.advance(10)
        assert fired == [(3, 1_003), (3, 1_003), (7, 1_007)]
        assert (clock.now(), clock.pending) == (1_010, 1)
        await clock.advance(1)
        assert fired[3:] == [(11, 1_011)]

    async def test_timers_set_on_the_way_fire_too(self, clock):
        fired = []

        async def sleeper():
            for _ in range(3):
                await clock.sleep(2)
                fired.append(clock.now())

        task = asyncio.create_task(sleeper())
        await clock.advance(5)
        assert fired == [1_002, 1_004]
        await clock.advance(1)
        assert task.done()

    async def test_timers_of_one_instant_fire_before_any_task_runs(self, clock):
        order = []

        async def sleeper():
            await clock.sleep(2)
            order.append("task")
            clock.call_at(clock.now(), lambda: order.append("set by it"))

        task = asyncio.create_task(sleeper())
        await clock.advance(0)
        timer = clock.call_at(1_002, pytest.fail)
        clock.call_at(1_002, lambda: order.append("timer"))
        clock.call_at(1_001, timer.cancel)
        await clock.advance(2)
        assert order == ["timer", "task", "set by it"]
        assert task.done()

    async def test_a_timer_cancels_another_of_its_instant(self, clock):
        timers = []
        for _ in range(2):
            timers.append(clock.call_at(1_001, lambda: [timer.cancel() for timer in timers]))
        timers.append(clock.call_at(1_001, pytest.fail))
        await clock.advance(1)
        assert clock.pending == 0

    async def test_what_a_tick_passed_fires_late(self, clock):
        fired = []
        clock.call_at(1_001, lambda: fired.append(clock.now()))
        clock.tick(5)
        await clock.advance(0)
        assert fired == [1_005]

    async def test_cancelled_timers_don_t_fire(self, clock):
        timer = clock.call_at(1_001, pytest.fail)
        timer.cancel()
        timer.cancel()
        assert clock.pending == 0
        await clock.advance(5)

    async def test_a_cancelled_sleep_leaves_no_timer(self, clock):
        task = asyncio.create_task(clock.sleep(5))
        await clock.advance(1)
        task.cancel()
        await clock.advance(0)
        assert clock.pending == 0

    async def test_a_sleep_that_ends_as_it_is_cancelled(self, clock):
        task = asyncio.create_task(clock.sleep(5))
        await clock.advance(0)
        clock._timers[0][2].fn()
        task.cancel()
        clock._timers[0][2].fn()
        await clock.advance(0)
        assert task.cancelled()

    async def test_no_sleep_is_one_turn(self, clock):
        await clock.sleep(0)
        await clock.sleep(-1)
        assert clock.now() == 1_000

    def test_pause_moves_time(self, clock):
        clock.pause(2)
        assert clock.now() == 1_002

    def test_chance_is_seeded_and_can_be_decided(self):
        assert FakeClock(seed=3).random() == FakeClock(seed=3).random() != FakeClock(seed=4).random()
        clock = FakeClock()
        clock.random = lambda: 0.5
        assert clock.random() == 0.5

    def test_chance_can_be_decided_in_a_subclass(self):
        class Even(FakeClock):
            def random(self):
                return 0.5

        assert Even().random() == 0.5

    async def test_finish_moves_as_far_as_needed(self, clock):
        async def work():
            await clock.sleep(1)
            clock.call_at(clock.now() + 1, pytest.fail).cancel()
            await clock.sleep(5)
            return "done"

        clock.call_at(1_000.5, lambda: None).cancel()
        assert await clock.finish(work()) == "done"
        assert clock.now() == 1_006

    async def test_finish_tells_of_what_never_ends(self, clock):
        waits = asyncio.Event()
        with pytest.raises(RuntimeError, match="no timer"):
            await clock.finish(waits.wait())

    async def test_waits_for_chains_of_tasks(self, clock):
        async def chain(depth):
            if depth:
                await asyncio.create_task(chain(depth - 1))
            else:
                await clock.sleep(1)

        task = asyncio.create_task(chain(40))
        await clock.advance(1)
        assert task.done()

    async def test_on_a_loop_that_hides_its_queue(self, clock, monkeypatch):
        monkeypatch.setattr("bookstore.resilience._fakeclock.get_running_loop", object)
        ran = []
        asyncio.get_running_loop().call_soon(ran.append, 1)
        await clock.advance(1)
        assert ran == [1]

    async def test_gives_up_on_a_task_that_never_rests(self, clock, monkeypatch):
        monkeypatch.setattr("bookstore.resilience._fakeclock._TURNS", 5)

        async def restless():
            while True:  # noqa: ASYNC110 - it is to be a nuisance
                await asyncio.sleep(0)

        task = asyncio.create_task(restless())
        await clock.advance(1)
        task.cancel()
