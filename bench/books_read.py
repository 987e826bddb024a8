"""One worker of books: one book from PostgreSQL, one book and a list of 20 from a warm cache.

    uv run python bench/books_read.py [--seconds 5] [--rounds 3] [--generator wrk|own] [--quiet-log]
        [--only WORD]

Starts a PostgreSQL, a Redis and books on free ports, fills the catalogue, asks for its books at random,
prints a table of medians, and stops everything. Exits 1 if there was an error or a goal was missed.
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
from bookstore.stores.redis import Redis
from bookstore.stores.server import Server

SEED = 725
"""Requests a second of the walk-through's own service, GET of one book, on this kind of machine."""
BOOKS = 200
PATIENCE = 30


@dataclass(frozen=True)
class Scene:
    name: str
    path: str
    """`%d` stands for a book."""
    connections: int
    goal: float = 0
    """Requests a second."""


GOALS = (
    Scene("book, PostgreSQL", "/v1/books/%d", 1),
    Scene("book, PostgreSQL", "/v1/books/%d", 32, 5 * SEED),
    Scene("book, PostgreSQL", "/v1/books/%d", 256, 5 * SEED),
    Scene("book, cache", "/v2/books/%d", 1),
    Scene("book, cache", "/v2/books/%d", 32, 15 * SEED),
    Scene("book, cache", "/v2/books/%d", 256),
    Scene("list of 20, cache", "/v2/books", 32, 2500),
)
P99_GROWS = 10
"""The p99 at 256 connections is less than this many times that at 32."""

WRK_SCRIPT = """
math.randomseed(os.time())
request = function() return wrk.format("GET", (string.gsub("{path}", "%%d", math.random({books})))) end
"""
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass
class Result:
    rate: float
    p50: float
    p99: float
    errors: int
    cpu: float = 0
    """Microseconds of the process for each request."""


def by_wrk(port: int, path: str, connections: int, seconds: int) -> Result:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_SCRIPT.format(path=path, books=BOOKS))
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


def by_hand(port: int, path: str, connections: int, seconds: int) -> Result:
    """For machines without wrk. It takes a core itself, and so shows less than the service can do."""
    took: list[float] = []
    errors = 0

    async def connection(until: float) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (started := time.perf_counter()) < until:
                book = random.randint(1, BOOKS)  # noqa: S311 - any book will do
                writer.write(f"GET {path.replace('%d', str(book))} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
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
def stores(folder: Path):
    """The URLs of a PostgreSQL with durable commits, and of a Redis."""
    guardian = Guardian()
    guardian.watch_folder(folder)
    password = secrets.token_urlsafe(12)
    kinds = {"postgres": Postgres, "redis": Redis}
    try:
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    Server(
                        kind(
                            folder=folder / name, port=any_free(), password=password, account=unprivileged()
                        ),
                        guardian,
                    )
                ).url
                for name, kind in kinds.items()
            ]
    finally:
        guardian.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def books(database: str, redis: str, *, access_log: bool):
    """One process of books, with a full catalogue; its log goes nowhere, but is written; port and pid."""
    port = any_free()
    settings = {
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "CACHE_TTL": "3600",
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
        yield port, process.pid
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
    parser.add_argument("--only", default="", help="scenes whose name has this word")
    options = parser.parse_args()
    measure = GENERATORS[options.generator]
    scenes = [scene for scene in GOALS if options.only in scene.name]

    with ExitStack() as stack:
        administrator, redis = stack.enter_context(stores(Path(tempfile.mkdtemp(prefix="bookstore-bench-"))))
        database = Database("books_db", "books_user", secrets.token_urlsafe(12))
        provision(administrator, [database])
        running = books(database.url(administrator), redis, access_log=not options.quiet_log)
        port, pid = stack.enter_context(running)
        for scene in scenes:
            measure(port, scene.path, 32, 1)  # connections are open, statements prepared, the cache is warm
        rounds = [
            [measured(measure, port, pid, scene, options.seconds) for scene in scenes]
            for _ in range(options.rounds)
        ]
    print(f"one worker, {options.generator}, load {os.getloadavg()[0]:.1f}")
    return 0 if told(scenes, list(zip(*rounds, strict=True))) else 1


def measured(measure, port: int, pid: int, scene: Scene, seconds: int) -> Result:
    before = cpu_seconds(pid)
    result = measure(port, scene.path, scene.connections, seconds)
    result.cpu = (cpu_seconds(pid) - before) / (result.rate * seconds) * 1_000_000
    return result


def cpu_seconds(pid: int) -> float:
    """What the process has used of the processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def told(scenes: list[Scene], results: list[list[Result]]) -> bool:
    """Print the medians; whether every goal was reached."""
    print("scene              connections  requests/s  p50 ms  p99 ms  cpu us  errors  times the seed's")
    held = True
    p99_of = {}
    for scene, runs in zip(scenes, results, strict=True):
        rate, p50, p99, cpu = (
            statistics.median(getattr(run, name) for run in runs) for name in ("rate", "p50", "p99", "cpu")
        )
        errors = sum(run.errors for run in runs)
        calm = p99_of.setdefault((scene.name, 32), p99) if scene.connections >= 32 else p99
        held = held and not errors and rate >= scene.goal and p99 < P99_GROWS * calm
        print(
            f"{scene.name:17}  {scene.connections:11}  {rate:10,.0f}  {p50:6.2f}  {p99:6.1f}  {cpu:6.0f}"
            f"  {errors:6}  {rate / SEED:16.1f}"
        )
    return held


if __name__ == "__main__":
    sys.exit(main())
