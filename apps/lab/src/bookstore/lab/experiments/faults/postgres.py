"""Faults of PostgreSQL that an administrator can make."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.system.credentials import Credentials
from bookstore.lab.system.topology import SYSTEM
from bookstore.stores.provision import Database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOK_SECONDS = 0.05
WAIT_SEEN = 4.0


async def terminate_backends(database: str) -> None:
    """pg_terminate_backend for every connection to a database."""
    async with await _administrator() as connection:
        rows = await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database]
        )
        ended = sum(bool(row[0]) for row in await rows.fetchall())

    async def proof() -> tuple[bool, str]:
        return ended > 0, f"{ended} connections to {database} were terminated"

    BENCH.get().bites.append(Bite(f"backends of {database} terminated", proof))


async def lock_table(database: str, table: str) -> None:
    """Hold the strongest lock on a table until it is let go: whoever wants it waits."""
    connection = await _administrator(database)
    await connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
    most = 0

    async def watch() -> None:
        nonlocal most
        async with await _administrator() as looking:
            while True:
                rows = await looking.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
                    [database],
                )
                found = await rows.fetchone()
                most = max(most, found[0] if found else 0)
                await asyncio.sleep(LOOK_SECONDS)

    await _hold(f"the lock on {table}", watch, connection.close)

    async def proof() -> tuple[bool, str]:
        return most > 0, f"up to {most} connections waited for the lock on {table}"

    BENCH.get().bites.append(Bite(f"{database}.{table} locked", proof))


async def exhaust_connections(database: str) -> None:
    """Take every connection that PostgreSQL has to give, after ending those of a database's owner."""
    url = _owner_url(database)
    held: list[psycopg.AsyncConnection] = []
    refusals = 0

    async def grab() -> None:
        nonlocal refusals
        while True:
            try:
                held.append(await psycopg.AsyncConnection.connect(url, connect_timeout=2))
            except psycopg.OperationalError:
                refusals += 1
                await asyncio.sleep(LOOK_SECONDS)

    async def give_back() -> None:
        for connection in held:
            await connection.close()

    await _hold(f"connections to {database}", grab, give_back)
    async with asyncio.timeout(WAIT_SEEN * 5):
        while not refusals:  # noqa: ASYNC110 - what is waited for is somebody else's refusal
            await asyncio.sleep(LOOK_SECONDS)
    ours = {connection.info.backend_pid for connection in held}
    async with await _administrator() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND NOT pid = ANY(%s)",
            [database, list(ours)],
        )

    async def proof() -> tuple[bool, str]:
        return refusals > 0, f"{len(held)} connections are held, and {refusals} were refused"

    BENCH.get().bites.append(Bite("connections exhausted", proof))


async def _hold(
    name: str, busy: Callable[[], Awaitable[None]], give_back: Callable[[], Awaitable[None]]
) -> None:
    """Keep busy with something until it is let go of."""

    async def run() -> None:
        await busy()

    task = asyncio.create_task(run())

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError, psycopg.Error):
            await task
        await give_back()

    BENCH.get().kept[name] = end


async def _administrator(database: str | None = None) -> psycopg.AsyncConnection:
    parts = urlsplit(BENCH.get().url("postgres"))
    url = urlunsplit(parts._replace(path=f"/{database}")) if database else urlunsplit(parts)
    return await psycopg.AsyncConnection.connect(url, connect_timeout=5, autocommit=database is None)


def _owner_url(database: str) -> str:
    bench = BENCH.get()
    owner = SYSTEM.databases[database]
    password = Credentials.load(bench.folder.credentials, [owner]).passwords[owner]
    return Database(database, owner, password).url(bench.url("postgres"))
