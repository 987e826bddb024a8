"""What the scripts in Redis make of a given state: five in 1,000 seconds, so that no second matters."""

import pytest
from redis.asyncio import Redis

from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits

pytestmark = pytest.mark.redis

SECOND = 1_000_000


class Counter:
    """One quota in Redis, whose state is set by hand, in seconds from now."""

    def __init__(self, redis, algorithm, quota=None):
        store = RedisLimits(redis, timeout=20.0)
        quota = quota or Quota(5, per=1000.0, algorithm=algorithm)
        self.redis = redis
        self.desk = RateLimit(quota, store=store)._desk
        self.key = f"{self.desk._key}{{:}}"

    async def now(self):
        seconds, micros = await self.redis.time()
        return seconds * SECOND + micros

    async def ask(self, cost, want, wait):
        """Units granted, units left, and in seconds: until these are due, all is there, the instant comes."""
        grant = await self.desk._ask("", cost, want, wait)
        decision, now = grant.decision, await self.now()
        times = decision.retry_after, decision.reset_after, (grant.at - now) / SECOND
        return grant.units, decision.remaining, *(round(time, -1) for time in times)


@pytest.fixture
async def redis(redis_url):
    client = Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


GCRA = [
    # when all is there again, (cost, want, wait), answer, when all is there again then
    (None, (1, 1, 0), (1, 4, 0, 200, 0), 200),
    (None, (1, 9, 0), (5, 0, 0, 1000, 0), 1000),
    (-50, (1, 1, 0), (1, 4, 0, 200, 0), 200),  # a rest is worth a burst, and no more
    (500, (1, 1, 0), (1, 1, 0, 700, 0), 700),
    (500, (1, 9, 0), (2, 0, 0, 900, 0), 900),
    (500, (3, 9, 0), (0, 2, 100, 500, 0), 500),
    (1000, (1, 1, 0), (0, 0, 200, 1000, 0), 1000),
    (1000, (1, 9, 0), (0, 0, 200, 1000, 0), 1000),
    (1000, (2, 2, 300), (0, 0, 400, 1000, 0), 1000),
    (1000, (2, 2, 500), (2, 0, 400, 1400, 0), 1400),
    (1900, (1, 1, 950), (0, 0, 1100, 1900, 0), 1900),  # that much may be reserved, if somebody waits so long
    (1900, (1, 1, 0), (0, 0, 200, 1000, 0), 1000),  # nobody does: the clock went back
    (900, (-2, -2, 0), (-2, 2, 0, 500, 0), 500),
    (100, (-3, -3, 0), (-3, 5, 0, 0, 0), 0),  # never more than all
]


@pytest.mark.parametrize(("whole", "question", "answer", "after"), GCRA)
async def test_gcra(redis, whole, question, answer, after):
    counter = Counter(redis, "gcra")
    if whole is not None:
        await redis.set(counter.key, await counter.now() + whole * SECOND)
    assert await counter.ask(*question) == answer
    full = await redis.get(counter.key)
    if full is None:  # what is whole again may be forgotten
        assert after == 0
    else:
        assert round((float(full) - await counter.now()) / SECOND, -1) == after
    if answer[0]:
        assert await redis.pttl(counter.key) <= after * 1000 + 1


LOG = [
    # ages, (cost, want, wait), answer, ages then
    ([], (1, 1, 0), (1, 4, 0, 1000, 0), [0]),
    ([], (2, 9, 0), (5, 0, 0, 1000, 0), [0] * 5),
    ([1500, 1400, 900, 100], (1, 1, 0), (1, 2, 0, 1000, 0), [900, 100, 0]),
    ([600], (1, 9, 0), (4, 0, 0, 1000, 0), [600, 0, 0, 0, 0]),
    ([900, 800, 700, 600, 100], (1, 1, 0), (0, 0, 100, 900, 100), [900, 800, 700, 600, 100]),
    ([900, 800, 700, 600, 100], (2, 2, 100), (0, 0, 200, 900, 200), [900, 800, 700, 600, 100]),
    ([900, 800, 700, 600, 100], (2, 2, 300), (2, 0, 200, 1200, 200), [900, 800, 700, 600, 100, -200, -200]),
    ([400, -300], (1, 1, 400), (1, 2, 300, 1300, 300), [400, -300, -300]),
    ([400, -9], (1, 1, 0), (0, 3, 10, 1010, 10), [400, -10]),  # another process may wait for so long
    ([400, -300], (1, 1, 0), (1, 2, 0, 1000, 0), [0, 0, 0]),  # nobody waits so long: the clock went back
    # The same of a single one.
    ([1500], (1, 1, 0), (1, 4, 0, 1000, 0), [0]),
    ([-300], (1, 1, 400), (1, 3, 300, 1300, 300), [-300, -300]),
    ([-300], (1, 1, 0), (1, 3, 0, 1000, 0), [0, 0]),
    ([900, 800], (-1, -1, 0), (-1, 3, 0, 200, 0), [900, 800]),  # that instant was not granted
]


@pytest.mark.parametrize(("ages", "question", "answer", "after"), LOG)
async def test_sliding_log(redis, ages, question, answer, after):
    counter = Counter(redis, "sliding_log")
    now = await counter.now()
    if ages:
        await redis.rpush(counter.key, *[now - age * SECOND for age in ages])
    assert await counter.ask(*question) == answer
    instants = [int(at) for at in await redis.lrange(counter.key, 0, -1)]
    assert [round((now - at) / SECOND, -1) for at in instants] == after
    if after:
        assert 0 < await redis.pttl(counter.key) <= answer[3] * 1000 + 1


@pytest.mark.parametrize(
    ("algorithm", "answer"), [("gcra", (0, 0, 600, 1400, 0)), ("sliding_log", (0, 0, 1000, 2000, 1000))]
)
async def test_how_long_somebody_may_wait_is_remembered(redis, algorithm, answer):
    counter = Counter(redis, algorithm)
    assert (await counter.ask(5, 5, 0))[0] == 5
    assert (await counter.ask(2, 2, 2000))[0] == 2
    assert await counter.ask(1, 1, 0) == answer  # behind those who wait


async def test_fractions_of_a_microsecond_add_up(redis):
    counter = Counter(redis, "gcra", Quota(3, per=1000.0))  # a third of a microsecond: floats tell quarters
    await counter.ask(1, 1, 0)
    assert float(await redis.get(counter.key)) % 1 == pytest.approx(1 / 3, abs=0.125)


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_who_gives_all_of_it_back_leaves_nothing(redis, algorithm):
    counter = Counter(redis, algorithm)
    grant = await counter.desk._ask("", 2, 2, 0.0)
    returned = await counter.desk._ask("", -2, -2, 0.0, grant.at)
    assert returned.units == -2
    assert returned.decision == (False, 5, 0.0, 0.0)
    assert await redis.pttl(counter.key) <= 1
