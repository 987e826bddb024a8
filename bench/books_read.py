"""One worker of books: GET of one book by id, at 1, 32 and 256 connections.

    uv run python bench/books_read.py [--seconds 5] [--rounds 3] [--generator wrk|own] [--quiet-log]

Starts a PostgreSQL and books on free ports, fills the catalogue, asks for its books at random, prints a table
of medians, and stops everything. Exits 1 if there was an error, or fewer than 5 times the seed's 725 requests
a second at 32 or 256 connections.
"""

import argparse
import asyncio
import os
import random
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bookstore.stores.account import unprivileged
from bookstore.stores.guardian import Guardian
from bookstore.stores.ports import any_free
from bookstore.stores.postgres import Postgres
from bookstore.stores.provision import Database, provision
from bookstore.stores.server import Server

SEED = 725
GOAL = 5 * SEED
CONNECTIONS = (1, 32, 256)
BOOKS = 200
PATIENCE = 30

WRK_SCRIPT = f"""
math.randomseed(os.time())
request = function() return wrk.format("GET", "/v1/books/" .. math.random({BOOKS})) end
"""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass
class Result:
    rate: float
    p50: float
    p99: float
    errors: int


def by_wrk(port: int, connections: int, seconds: int) -> Result:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT)
        script.flush()
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        command += ["--latency", "--timeout", "5s", "--script", script.name, f"http://127.0.0.1:{port}"]
        told = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=seconds + PATIENCE
        ).stdout

    def latency(percent: str) -> float:
        number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", told).groups()
        return float(number) * UNITS[unit]

    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", told))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    return Result(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]),
        p50=latency("50"),
        p99=latency("99"),
        errors=errors + (int(refused[1]) if refused else 0),
    )


def by_hand(port: int, connections: int, seconds: int) -> Result:
    """For machines without wrk. It takes a core itself, and so shows less than the service can do."""
    took: list[float] = []
    errors = 0

    async def connection(until: float) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (started := time.perf_counter()) < until:
                book = random.randint(1, BOOKS)  # noqa: S311 - any book will do
                writer.write(b"GET /v1/books/%d HTTP/1.1\r\nhost: x\r\n\r\n" % book)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]))
                took.append(time.perf_counter() - started)
                errors += not head.startswith(b"HTTP/1.1 200")
        finally:
            writer.close()

    async def main() -> None:
        nonlocal errors
        until = time.perf_counter() + seconds
        async with asyncio.timeout(seconds + PATIENCE):
            ends = await asyncio.gather(
                *(connection(until) for _ in range(connections)), return_exceptions=True
            )
        errors += sum(isinstance(end, BaseException) for end in ends)

    asyncio.run(main())
    percentiles = statistics.quantiles(took, n=100)
    return Result(len(took) / seconds, percentiles[49] * 1000, percentiles[98] * 1000, errors)


GENERATORS = {"wrk": by_wrk, "own": by_hand}


@contextmanager
def postgres(folder: Path):
    guardian = Guardian()
    guardian.watch_folder(folder)
    store = Postgres(
        folder=folder / "postgres",
        port=any_free(),
        password=secrets.token_urlsafe(12),
        account=unprivileged(),
    )
    server = Server(store, guardian)
    try:
        with server:
            yield server.url
    finally:
        guardian.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def books(url: str, *, access_log: bool):
    """One process of books, with a full catalogue; its log goes nowhere, but is written."""
    port = any_free()
    settings = {
        "DATABASE_URL": url,
        "PORT": str(port),
        "SEED_CATALOGUE": "true",
        "ACCESS_LOG": str(access_log).lower(),
        "DRAIN_ANNOUNCE": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bookstore.books"], env={**os.environ, **settings}, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/books/{BOOKS}", process)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"books didn't answer at {url}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind; medians are shown")
    default = "wrk" if shutil.which("wrk") else "own"
    parser.add_argument("--generator", choices=GENERATORS, default=default)
    parser.add_argument("--quiet-log", action="store_true", help="turn the access log off, as the seed's was")
    options = parser.parse_args()
    measure = GENERATORS[options.generator]

    with ExitStack() as stack:
        administrator = stack.enter_context(postgres(Path(tempfile.mkdtemp(prefix="bookstore-bench-"))))
        database = Database("books_db", "books_user", secrets.token_urlsafe(12))
        provision(administrator, [database])
        port = stack.enter_context(books(database.url(administrator), access_log=not options.quiet_log))
        measure(port, 32, 2)  # the pool's connections are open, and their statements prepared
        results = {
            connections: [measure(port, connections, options.seconds) for _ in range(options.rounds)]
            for connections in CONNECTIONS
        }

    print(f"GET /v1/books/{{id}}, one worker, {options.generator}, load {os.getloadavg()[0]:.1f}")
    print("connections  requests/s  p50 ms  p99 ms  errors  times the seed's")
    held = True
    for connections, runs in results.items():
        rate, p50, p99 = (
            statistics.median(getattr(run, name) for run in runs) for name in ("rate", "p50", "p99")
        )
        errors = sum(run.errors for run in runs)
        held = held and not errors and (connections == 1 or rate >= GOAL)
        print(f"{connections:11}  {rate:10,.0f}  {p50:6.2f}  {p99:6.1f}  {errors:6}  {rate / SEED:16.1f}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
