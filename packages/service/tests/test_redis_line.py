"""A line to Redis: who asks is answered, or soon told that nobody does; and the line comes back by itself."""

import asyncio
from contextlib import suppress
from time import monotonic

import pytest

from bookstore.service.redis_home import Home
from bookstore.service.redis_line import RedisLine
from bookstore.service.redis_session import RedisAway
from bookstore.service.testing import soon


@pytest.fixture
def absences():
    return []


@pytest.fixture
def line_to(absences):
    def line_to(url):
        async def note():
            absences.append(monotonic())

        return RedisLine(Home(url, "{test}"), while_away=note)

    return line_to


async def test_answers_come_in_the_order_of_the_questions(line_to, redis_url):
    line = line_to(redis_url)
    async with line.kept():
        session = line.session
        asked = [session.ask("INCR", "n") for _ in range(1000)]
        assert await asyncio.gather(*asked) == list(range(1, 1001))
        assert await session.ask("SET", "k", b"\0\xff\r\n") == b"OK"
        assert await session.ask("MGET", "k", "none") == [b"\0\xff\r\n", None]
        await line.check()
    with pytest.raises(RedisAway):
        session.ask("PING")


async def test_a_refusal_is_told_and_the_line_stays(line_to, redis_url):
    line = line_to(redis_url)
    async with line.kept():
        await line.session.ask("SET", "word", "a")
        with pytest.raises(RedisAway):
            await line.session.ask("INCR", "word")
        assert await line.session.ask("GET", "word") == b"a"


async def test_who_gives_up_takes_no_answer_from_the_next(line_to, redis_url):
    line = line_to(redis_url)
    async with line.kept():
        line.session.ask("ECHO", "mine").cancel()
        assert await line.session.ask("ECHO", "yours") == b"yours"


async def test_the_database_of_the_url_is_used(line_to, redis_url):
    line, other = line_to(redis_url), line_to(redis_url.removesuffix("0") + "3")
    async with line.kept(), other.kept():
        await other.session.ask("SET", "here", 1)
        assert await line.session.ask("GET", "here") is None


async def test_a_wrong_password_is_an_absence(line_to, redis_url, absences):
    line = line_to(redis_url.replace("redis://:", "redis://:x"))
    async with line.kept():
        assert line.session is None
        await soon(lambda: absences)
        with pytest.raises(RedisAway):
            await line.check()


async def test_too_many_questions_are_refused_not_queued(line_to, redis_server):
    line = line_to(redis_server.url)
    async with line.kept():
        session = line.session
        redis_server.freeze()
        try:
            asked = []
            with suppress(RedisAway):
                while len(asked) < 10_000:
                    asked.append(session.ask("PING"))
            assert 1000 < len(asked) < 10_000
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            redis_server.resume()
        assert all(isinstance(outcome, RedisAway) for outcome in outcomes)


@pytest.mark.quiet
async def test_a_frozen_redis_costs_its_patience_once_and_is_found_again(line_to, redis_server, absences):
    line = line_to(redis_server.url)
    async with line.kept():
        redis_server.freeze()
        try:
            started = monotonic()
            with pytest.raises(RedisAway):
                await line.session.ask("PING")
            assert monotonic() - started < 0.5
            await soon(lambda: absences)
            assert line.session is None
        finally:
            redis_server.resume()
        await soon(lambda: line.session)
        assert await line.session.ask("PING") == b"PONG"


async def test_an_idle_line_notices_an_end_and_a_new_run_has_another_name(line_to, redis_server, absences):
    line = line_to(redis_server.url)
    async with line.kept():
        run = line.session.run
        assert run
        redis_server.kill()
        await soon(lambda: absences)
        redis_server.start()
        await soon(lambda: line.session)
        assert line.session.run
        assert line.session.run != run


async def test_what_speaks_otherwise_is_no_redis(line_to, absences):
    async def babble(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with line_to(f"redis://127.0.0.1:{port}").kept():
            await soon(lambda: len(absences) > 1)
