"""Every database operation ends in bounded time, whatever the server does."""

import asyncio
from contextlib import AsyncExitStack, aclosing, suppress
from time import monotonic

import psycopg
import pytest

from bookstore.service.database import Database, DatabaseUnavailable

PROMISE = 2.0


@pytest.fixture
async def database(postgres_server):
    async with Database(postgres_server.url, size=4, patience=0.8) as database:
        assert await _first_answer(database) == [(1,)]
        yield database


async def _first_answer(database):
    """A busy machine may be late with the first connection."""
    async with asyncio.timeout(20):
        while True:
            with suppress(DatabaseUnavailable):
                return await database.fetch("SELECT 1")


async def _timed(operation):
    started = monotonic()
    with pytest.raises(DatabaseUnavailable) as caught:
        await operation
    return caught.value, monotonic() - started


async def _answers_again(database: Database) -> float:
    started = monotonic()
    while True:
        try:
            await database.fetch("SELECT 1")
        except DatabaseUnavailable:
            assert monotonic() - started < 15
            await asyncio.sleep(0.01)
        else:
            return monotonic() - started


@pytest.mark.quiet
async def test_a_frozen_server_ends_a_read_in_time_and_later_calls_too(postgres_server, database):
    postgres_server.freeze()
    try:
        first, took = await _timed(database.fetch("SELECT 1"))
        assert took < PROMISE
        assert first.status == 503
        assert first.headers["Retry-After"]
        results = await asyncio.gather(*(_timed(database.fetch("SELECT 1")) for _ in range(20)))
        assert max(took for _, took in results) < PROMISE
    finally:
        postgres_server.resume()
    assert await _answers_again(database) < 5


@pytest.mark.quiet
async def test_a_frozen_server_ends_a_commit_in_time(postgres_server, database):
    await database.fetch("SELECT 1")

    async def write():
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE kept (id int)")
            postgres_server.freeze()

    try:
        _, took = await _timed(write())
        assert took < PROMISE
    finally:
        postgres_server.resume()
    await _answers_again(database)
    # The commit was never received whole or never sent: asking again is the only way to know.
    rows = await database.fetch("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'")
    assert rows[0][0] in (0, 1)


async def test_reads_survive_connections_that_died_behind_our_back(postgres_server):
    # Time enough for a busy machine to open all four.
    async with Database(postgres_server.url, size=4, acquire=30) as database:
        await asyncio.gather(*(database.fetch("SELECT pg_sleep(0.05)") for _ in range(4)))
        with psycopg.connect(postgres_server.url, autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        assert await database.fetch("SELECT 1") == [(1,)]


@pytest.mark.quiet
async def test_a_restarted_server_is_found_again(postgres_server, database):
    postgres_server.kill()
    _, took = await _timed(database.fetch("SELECT 1"))
    assert took < PROMISE
    postgres_server.start()
    assert await _answers_again(database) < 5
    assert await database.fetch("SELECT 1") == [(1,)]


@pytest.mark.quiet
async def test_a_server_that_was_away_at_the_start_is_found(postgres_server):
    postgres_server.kill()
    async with Database(postgres_server.url) as database:
        _, took = await _timed(database.fetch("SELECT 1"))
        assert took < PROMISE
        postgres_server.start()
        assert await _answers_again(database) < 5


@pytest.mark.quiet
async def test_a_statement_that_takes_too_long_is_given_up_and_its_connection_replaced(database):
    problem, took = await _timed(database.fetch("SELECT pg_sleep(30)"))
    assert took < PROMISE
    assert problem.cause == "no answer in time"
    assert await database.fetch("SELECT 1") == [(1,)]


async def test_a_cancelled_caller_leaves_a_pool_that_works(database):
    tasks = [asyncio.create_task(database.fetch("SELECT pg_sleep(0.3)")) for _ in range(8)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert await asyncio.gather(*(database.fetch("SELECT 1") for _ in range(8))) == [[(1,)]] * 8


@pytest.mark.quiet
async def test_a_pool_that_is_used_up_refuses_soon(database):
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(database.connection())
        problem, took = await _timed(database.fetch("SELECT 1"))
    assert took < 0.7
    assert problem.status == 503


async def test_a_transaction_is_undone_by_an_error_and_kept_without(postgres_database):
    async with Database(postgres_database) as database:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE kept (id int)")

        async def fail():
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO kept VALUES (1)")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        assert await database.fetch("SELECT count(*) FROM kept") == [(0,)]


async def test_an_error_of_the_query_itself_is_no_outage(postgres_database):
    async with Database(postgres_database) as database:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await database.fetch("SELECT * FROM nowhere")


async def test_no_message_holds_the_password(postgres_server):
    postgres_server.kill()
    async with Database(postgres_server.url) as database:
        problem, _ = await _timed(database.fetch("SELECT 1"))
    password = psycopg.conninfo.conninfo_to_dict(postgres_server.url)["password"]
    assert password not in problem.detail + problem.cause + repr(problem.__cause__)


@pytest.mark.quiet
async def test_a_caller_cancelled_over_a_frozen_server_is_let_go(postgres_server, database):
    asks = asyncio.Event()

    async def ask():
        async with database.connection() as connection:
            asks.set()
            await connection.execute("SELECT 1")

    postgres_server.freeze()
    try:
        task = asyncio.create_task(ask())
        await asks.wait()
        await asyncio.sleep(0)
        started = monotonic()
        task.cancel()
        await asyncio.wait({task})
        assert monotonic() - started < PROMISE
    finally:
        postgres_server.resume()
    assert await _answers_again(database) < 5


async def _told(server, payload):
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        await connection.execute("SELECT pg_notify('news', %s)", (payload,))


async def test_a_listener_hears_what_is_told_from_its_first_item_on(postgres_server, database):
    async with aclosing(database.listen("news")) as news:
        assert not await anext(news)
        for payload in ("1", "2"):
            await _told(postgres_server, payload)
            assert await anext(news) == payload


async def test_a_listener_whose_server_dies_or_freezes_is_told_so(postgres_server, database, monkeypatch):
    monkeypatch.setattr("bookstore.service.database._QUIET", 0.2)
    for harm, heal in ((postgres_server.freeze, postgres_server.resume), (postgres_server.restart, None)):
        async with aclosing(database.listen("news")) as news:
            await anext(news)
            harm()
            try:
                with pytest.raises(DatabaseUnavailable) as caught:
                    await anext(news)
                assert caught.value.lost
            finally:
                if heal:
                    heal()


@pytest.mark.quiet
async def test_a_frozen_server_keeps_no_listener_waiting(postgres_server, database):
    postgres_server.freeze()
    try:
        news = database.listen("news")
        _, took = await _timed(anext(news))
        assert took < PROMISE
    finally:
        postgres_server.resume()


async def test_a_listener_that_is_cancelled_leaves_no_connection(database):
    listens = asyncio.Event()

    async def listen():
        async with aclosing(database.listen("news")) as news:
            await anext(news)
            listens.set()
            await anext(news)

    task = asyncio.create_task(listen())
    await listens.wait()
    task.cancel()
    await asyncio.wait({task})
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %%'"
    while await database.fetch(listening) != [(0,)]:
        pass
