"""When enough others have their circuit open."""

import asyncio

import pytest

from bookstore.resilience import Breaker, CircuitOpen, Pipeline
from bookstore.resilience.quorum import Quorum


class Votes:
    """What the script does, for fake clocks."""

    def __init__(self, clock):
        self.clock = clock
        self.until = {}
        self.looks = 0
        self.error = None

    async def evalsha(self, _sha, _count, _key, who, mine, ttl):
        self.looks += 1
        if self.error is not None:
            raise self.error
        now = self.clock.now()
        self.until = {one: until for one, until in self.until.items() if until > now and one != who}
        if mine == "1":
            self.until[who] = now + ttl / 1000
        return len(self.until)


@pytest.fixture
def votes(clock):
    return Votes(clock)


async def fail():
    raise OSError


async def work():
    return 1


class Process:
    def __init__(self, clock, votes, **settings):
        self.clock = clock
        self.breaker = Breaker(consecutive=1, open_for=5.0, trials=1)
        self.quorum = Quorum(self.breaker, votes, **settings)
        self.pipe = Pipeline("p", self.quorum, self.breaker, clock=clock)

    async def call(self, fn=work):
        try:
            return await self.pipe.call(fn)
        except (OSError, CircuitOpen) as error:
            return error
        finally:
            await self.clock.advance(0)


async def test_one_alone_stops_nobody_two_stop_all(clock, votes):
    one, two, three = (Process(clock, votes) for _ in range(3))
    await one.call(fail)
    clock.tick(1)
    await one.call()
    assert await three.call() == 1
    await two.call(fail)
    clock.tick(1)
    for process in (one, two):
        await process.call()
    assert await three.call() == 1  # the signal is as late as the last look
    refused = await three.call()
    assert isinstance(refused, CircuitOpen)
    assert (refused.policy, refused.retry_after) == ("quorum", 1.0)
    assert three.quorum.votes == 2
    assert three.breaker.state == "closed"


async def test_votes_are_withdrawn_when_a_circuit_is_no_longer_open(clock, votes):
    processes = [Process(clock, votes) for _ in range(3)]
    for process in processes[:2]:
        await process.call(fail)
    clock.tick(1)
    for _ in range(2):
        for process in processes:
            await process.call()
    assert isinstance(await processes[2].call(), CircuitOpen)
    clock.tick(4)  # half-open: they try for themselves
    for _ in range(2):
        for process in processes:
            await process.call()
        clock.tick(1)
    assert [await process.call() for process in processes] == [1, 1, 1]


async def test_a_silent_process_is_forgotten(clock, votes):
    gone, here, watching = (Process(clock, votes) for _ in range(3))
    for process in (gone, here):
        process.breaker.force_open()
        await process.call()
    await watching.call()
    assert watching.quorum.votes == 2
    clock.tick(10)
    await here.call()
    await watching.call()
    assert watching.quorum.votes == 1


async def test_a_look_each_second_and_none_that_anybody_waits_for(clock, votes):
    process = Process(clock, votes)
    for _ in range(50):
        assert await process.call() == 1
    assert votes.looks == 1
    clock.tick(1)
    await asyncio.gather(*(process.call() for _ in range(20)))
    assert votes.looks == 2
    await process.quorum.aclose()
    assert clock.pending == 0


async def test_without_redis_each_goes_by_itself(clock, votes):
    process = Process(clock, votes)
    process.quorum._view.votes = 5
    votes.error = OSError("gone")
    await process.call()
    assert await process.call() == 1
    assert process.quorum.votes == 0


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("quorum", {"quorum": 1}),
        ("every", {"every": 0}),
        ("ttl", {"ttl": 1.0}),
        ("ttl", {"ttl": 0}),
        ("timeout", {"timeout": 0}),
    ],
)
def test_wrong_settings_name_the_field(votes, field, settings):
    with pytest.raises(ValueError, match=field):
        Quorum(Breaker(), votes, **settings)


async def test_a_look_that_takes_too_long_is_no_signal(clock, votes, monkeypatch):
    processes = [Process(clock, votes) for _ in range(3)]
    for process in processes[:2]:
        await process.call(fail)
        clock.tick(1)
        await process.call()
    await processes[2].call()
    assert processes[2].quorum.votes == 2

    async def silent(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(votes, "evalsha", silent)
    clock.tick(1)
    await processes[2].call()
    assert processes[2].quorum.votes == 2
    await clock.advance(0.05)
    assert processes[2].quorum.votes == 0


async def test_who_closes_it_waits_for_the_look_that_is_under_way(clock, votes, monkeypatch):
    answered = asyncio.Event()

    async def late(*_):
        await answered.wait()
        return 2

    monkeypatch.setattr(votes, "evalsha", late)
    process = Process(clock, votes)
    await process.call()
    closing = asyncio.create_task(process.quorum.aclose())
    await clock.advance(0)
    assert not closing.done()
    answered.set()
    await closing
    assert process.quorum.votes == 2
