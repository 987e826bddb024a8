"""Redis may be away or frozen: a call costs little and says so."""

from time import monotonic

import pytest
import redis.exceptions

from bookstore.service.redis import connect
from bookstore.service.redis_home import Home

PATIENCE = 0.25


async def test_it_keeps_and_gives(redis_url):
    async with connect(Home(redis_url, "{test}")) as client:
        await client.set("a", b"1", ex=60)
        assert await client.get("a") == b"1"


@pytest.mark.quiet
async def test_a_redis_that_is_away_is_said_at_once_and_found_again(redis_server):
    async with connect(Home(redis_server.url, "{test}"), patience=PATIENCE) as client:
        await client.ping()
        redis_server.kill()
        started = monotonic()
        with pytest.raises(redis.exceptions.ConnectionError):
            await client.ping()
        assert monotonic() - started < 4 * PATIENCE
        redis_server.start()
        assert await client.ping()


@pytest.mark.quiet
async def test_a_frozen_redis_costs_its_patience_and_no_answer_goes_to_the_next_caller(redis_server):
    async with connect(Home(redis_server.url, "{test}"), patience=PATIENCE) as client:
        await client.set("a", b"1")
        await client.set("b", b"2")
        redis_server.freeze()
        started = monotonic()
        try:
            with pytest.raises(redis.exceptions.TimeoutError):
                await client.get("a")
        finally:
            redis_server.resume()
        assert monotonic() - started < 4 * PATIENCE
        assert await client.get("b") == b"2"
