"""One worker of books: one book from PostgreSQL, one book and a list of 20 from a warm cache.

    uv run python bench/books_read.py [--seconds 5] [--rounds 3] [--generator wrk|own] [--quiet-log]
        [--only WORD]

Starts a PostgreSQL, a Redis and books on free ports, fills the catalogue, asks for its books at random,
prints a table of medians, and stops everything. Exits 1 if there was an error or a goal was missed.
"""

import argparse
import os
import secrets
import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from generators import GENERATORS, Result
from parts import books, cpu_seconds, stores

from bookstore.stores.provision import Database, provision

SEED = 725
"""Requests a second of the walk-through's own service, GET of one book, on this kind of machine."""


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
