"""PostgreSQL behind a pooler that gives its connections to one transaction at a time."""

import asyncio
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from bookstore.service.database import Database, DatabaseUnavailable
from bookstore.service.database_limits import LIMITS
from bookstore.service.schema import Schema
from bookstore.stores.pgbouncer import Pgbouncer, pgbouncer_program
from bookstore.stores.ports import any_free
from bookstore.stores.server import Server

PROMISE = 2.0
ROOT = Path(__file__).parents[2]

needs_pgbouncer = [
    pytest.mark.long,
    pytest.mark.skipif(not pgbouncer_program(), reason="pgbouncer isn't here; Debian's package has it"),
]

SESSION = {
    "a prepared statement": r"prepare\s*=\s*True|\bPREPARE\s+\w+\s+AS\b|\bDEALLOCATE\b",
    "a lock of the session": r"\bpg_(try_)?advisory_lock\b",
    "LISTEN": r"\bLISTEN\b",
    "SET of the session": r"(?<!UPDATE )\bSET SESSION\b|[\"'(]SET (?!LOCAL)\w+ (=|TO)|set_config\(",
    "a cursor of the server": r"\bDECLARE\b.*\bCURSOR\b|\.cursor\(\s*(name\s*=|[\"'])|WITH HOLD",
    "a temporary table": r"\bCREATE TEMP",
}
"""What lives in a session, and so doesn't outlive a transaction behind a pooler."""

PAST_THE_POOLER = {("LISTEN", "packages/service/src/bookstore/service/database.py")}


@pytest.mark.parametrize("kind", SESSION)
def test_nothing_is_kept_in_a_session(kind):
    """Of what services run; the commands of the lab and the test stores talk to servers of their own."""
    sources = [
        path
        for member in ("packages/service", *(f"apps/{name}" for name in ("accounts", "books", "orders")))
        for path in sorted((ROOT / member / "src").rglob("*.py"))
    ]
    assert len(sources) > 100
    found = {str(path.relative_to(ROOT)) for path in sources if re.search(SESSION[kind], path.read_text())}
    assert found == {path for what, path in PAST_THE_POOLER if what == kind}


@pytest.fixture
def pooler(store_folder, store_guardian):
    """Start a pooler before these databases."""
    with ExitStack() as stack:

        def start(*direct_urls):
            folder = store_folder / f"pgbouncer-{secrets.token_hex(4)}"
            store = Pgbouncer(folder=folder, port=any_free(), direct_urls=direct_urls)
            return stack.enter_context(Server(store, store_guardian))

        yield start


class TestBehindPgbouncer:
    pytestmark = needs_pgbouncer

    def test_orders_are_taken_watched_and_done(
        self, pooler, running, shared_redis, books_database, orders_database
    ):
        """By some twenty connections to the pooler, which has two to each database."""
        server = pooler(books_database, orders_database)
        through = {server.store.through(url): url for url in (books_database, orders_database)}
        with running(shared_redis.url, *through, direct=through) as shop:
            book = shop.book()
            with ThreadPoolExecutor(8) as pool:
                taken = list(pool.map(lambda _: shop.order(book), range(60)))
            shop.has_done(taken)
            shop.pause()
            watched = shop.order(book)
            with shop.http.stream("GET", f"{shop.orders}/v2/orders/{watched}/events") as events:
                told = events.iter_lines()
                assert any("Processing" in line for line in told)
                shop.resume()
                assert any("Validated" in line for line in told)

    async def test_the_server_ends_what_takes_too_long(self, pooler, orders_database):
        """Though the pooler takes no limits along; and connections that it had before have them too."""
        server = pooler(orders_database)
        async with Database(server.url, direct_url=orders_database, patience=60.0, acquire=20.0) as database:
            assert await database.fetch("SELECT current_setting('statement_timeout')") == [("0",)]
            await asyncio.gather(*(Schema(database, "bookstore.orders").prepare() for _ in range(3)))
            shown = await database.fetch(
                f"SELECT {', '.join(f'current_setting({name!r})' for name in LIMITS)}"
            )
            assert dict(zip(LIMITS, shown[0], strict=True)) == LIMITS
            with pytest.raises(DatabaseUnavailable, match="statement timeout"):
                await database.fetch("SELECT pg_sleep(50)")

    async def test_sessions_are_nobodys(self, pooler, orders_database):
        """The same statements, again and again, by many who share two connections."""
        server = pooler(orders_database)

        async def ask(number):
            async with Database(server.url, direct_url=orders_database, acquire=20.0) as database:
                for turn in range(12):
                    rows = await database.fetch("SELECT %s::int + %s::int", (number, turn))
                    assert rows == [(number + turn,)]

        await asyncio.gather(*(ask(number) for number in range(6)))

    async def test_an_empty_database_is_migrated_past_the_pooler(self, pooler, postgres_database):
        server = pooler(postgres_database)
        async with Database(server.url, direct_url=postgres_database, acquire=20.0) as database:
            schema = Schema(database, "bookstore.books")
            await schema.prepare()
            await schema.check()

    async def test_a_pooler_that_is_silent_or_gone_is_an_outage_like_any_other(
        self, pooler, orders_database, soon
    ):
        server = pooler(orders_database)
        async with Database(server.url, direct_url=orders_database, patience=0.8) as database:

            async def answers():
                try:
                    return await database.fetch("SELECT 1") == [(1,)]
                except DatabaseUnavailable:
                    return False

            await soon(answers)
            for end, back in ((server.freeze, server.resume), (server.kill, server.start)):
                end()
                started = monotonic()
                assert not await answers()
                assert monotonic() - started < PROMISE
                back()
                await soon(answers)
