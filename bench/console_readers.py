"""Books under load while nobody, one and fifty have the console open.

    uv run python bench/console_readers.py [--seconds 5] [--rounds 3]

Starts a PostgreSQL, a Redis, one process of books and a monitor that watches it, on free ports. One book from
the cache is asked for at 32 connections, in turns with 0, 1 and 50 readers of the monitor's events, which are
a process of their own. Prints medians: requests a second, and what books and the monitor use of a processor.
Exits 1 if books does less than 0.95 of its requests with fifty than with none, if an answer was an error, if
a reader got no picture, or if the 51st isn't refused.
"""

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

from books_read import GENERATORS, PATIENCE, books, cpu_seconds, stores, wait_for

from bookstore.stores.ports import any_free
from bookstore.stores.provision import Database, provision

GOAL = 0.95
READERS = (0, 1, 50)
EVENTS = "/v2/monitor/events"


@contextmanager
def monitor(targets: str):
    """A monitor of these; port and pid."""
    port = any_free()
    settings = {"PORT": str(port), "TARGETS": targets, "DRAIN_ANNOUNCE": "0", "PROBE_INTERVAL": "5"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bookstore.monitor"], env={**os.environ, **settings}, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health_status", process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def reading(port: int, count: int):
    """So many readers, in a process of their own, each of which has got a picture."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--read", str(port), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if process.stdout.readline() != b"reading\n":
            raise SystemExit("a reader got no picture")
        yield
    finally:
        process.stdin.close()
        process.wait(PATIENCE)


def read(port: int, count: int) -> None:
    """Read until standard input ends."""
    have = threading.Barrier(count + 1)

    def follow() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{EVENTS}", timeout=PATIENCE) as stream:
            for line in stream:
                if line.startswith(b"event: picture"):
                    have.wait(PATIENCE)
                    break
            for _ in stream:
                pass

    for _ in range(count):
        threading.Thread(target=follow, daemon=True).start()
    have.wait(PATIENCE)
    print("reading", flush=True)
    sys.stdin.read()
    os._exit(0)


def is_refused(port: int) -> bool:
    """Whether one reader more gets a clear answer."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{EVENTS}", timeout=PATIENCE).close()
    except urllib.error.HTTPError as answer:
        return answer.code == 503 and json.loads(answer.read())["type"].endswith(":too-many-readers")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind; medians are shown")
    options = parser.parse_args()
    measure = GENERATORS["wrk" if shutil.which("wrk") else "own"]
    rows: dict[int, list[tuple[float, float, float]]] = {count: [] for count in READERS}
    errors, refused = 0, True
    with ExitStack() as stack:
        administrator, redis = stack.enter_context(stores(Path(tempfile.mkdtemp(prefix="bookstore-bench-"))))
        database = Database("books_db", "books_user", secrets.token_urlsafe(12))
        provision(administrator, [database])
        port, pid = stack.enter_context(books(database.url(administrator), redis, access_log=True))
        watched, watcher = stack.enter_context(monitor(f"books=http://127.0.0.1:{port}"))
        measure(port, "/v2/books/%d", 32, 1)
        for _ in range(options.rounds):
            for count in READERS:
                with ExitStack() as readers:
                    if count:
                        readers.enter_context(reading(watched, count))
                    else:
                        time.sleep(11)  # until the monitor asks nobody any more
                    before = cpu_seconds(pid), cpu_seconds(watcher)
                    result = measure(port, "/v2/books/%d", 32, options.seconds)
                    after = cpu_seconds(pid), cpu_seconds(watcher)
                    refused = refused and (count < READERS[-1] or is_refused(watched))
                errors += result.errors
                used = [(late - early) / options.seconds for early, late in zip(before, after, strict=True)]
                rows[count].append((result.rate, *used))
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"{'readers':>8} {'requests/s':>11} {'us a request':>13} {'monitor, % of a core':>21}")
    medians = {
        count: [statistics.median(column) for column in zip(*found, strict=True)]
        for count, found in rows.items()
    }
    for count, (rate, of_books, of_monitor) in medians.items():
        print(f"{count:>8} {rate:>11,.0f} {of_books / rate * 1e6:>13.0f} {of_monitor * 100:>21.1f}")
    share = medians[READERS[-1]][0] / medians[0][0]
    print(f"with {READERS[-1]} readers {share:.3f} of what it is with none; errors {errors}")
    print(f"one reader more is refused: {refused}")
    return 0 if share >= GOAL and not errors and refused else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(int(sys.argv[2]), int(sys.argv[3]))
    sys.exit(main())
