"""What open consoles cost the system that they look at.

    uv run python bench/console.py [--seconds 5] [--rounds 5] [--connections 16]

A whole system (`bookstore up`), with no page open, with one and with fifty, in turns: `GET /v2/books/{id}`
at books by wrk (or a generator of its own), what a request costs it of the processor, and what the monitor
costs a second. A page is a connection that reads the stream of events and throws it away, in one process for
all. The 51st is refused, and shown. Exits 1 if fifty leave less than 0.95 of the throughput without any
(medians of the same run), or make a request cost more than 5 % more of the processor, or if the 51st isn't
told so.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from generators import GENERATORS
from parts import cpu_seconds

PAGES = (0, 1, 50)
PATH = "/v2/books/%d"
ASK = b"GET /v2/monitor/events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"
LEAST, MOST = 0.95, 1.05


@contextmanager
def system() -> Iterator[dict[str, dict]]:
    """All services on free ports, as anybody starts them; their rows by instance."""
    folder = tempfile.mkdtemp(prefix="bookstore-bench-")
    environment = os.environ | {"BOOKSTORE_STATE": folder}
    command = [sys.executable, "-m", "bookstore.lab"]
    subprocess.run([*command, "up", "--detach"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        told = subprocess.run(
            [*command, "status", "--json"], env=environment, check=True, capture_output=True
        )
        yield {row["instance"]: row for row in json.loads(told.stdout)["services"]}
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def look_on(host: str, port: int, count: int, ready) -> None:
    """Read so many streams until killed."""
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            connection = socket.create_connection((host, port))
            connection.sendall(ASK)
            selector.register(connection, selectors.EVENT_READ)
        waiting = set(selector.get_map())
        while True:
            for key, _ in selector.select():
                if not key.fileobj.recv(1 << 20):
                    raise SystemExit("a stream has ended")
                waiting.discard(key.fd)
            if not waiting:
                ready.set()


@contextmanager
def pages(monitor: str, count: int) -> Iterator[None]:
    """So many pages are open."""
    if not count:
        yield
        return
    place, ready = urlsplit(monitor), multiprocessing.Event()
    process = multiprocessing.Process(
        target=look_on, args=(place.hostname, place.port, count, ready), daemon=True
    )
    process.start()
    try:
        if not ready.wait(30):
            raise SystemExit("the pages did not open")
        yield
    finally:
        process.kill()
        process.join()


def one_more(monitor: str) -> tuple[int, str | None]:
    """What the next one is told: status and slug."""
    place = urlsplit(monitor)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    connection.request("GET", "/v2/monitor/events")
    answer = connection.getresponse()
    slug = json.loads(answer.read())["type"].rpartition(":")[2] if answer.status != 200 else None
    connection.close()
    return answer.status, slug


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each kind; medians are shown")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--generator", choices=GENERATORS, default="wrk" if shutil.which("wrk") else "own")
    options = parser.parse_args()
    measure = GENERATORS[options.generator]
    results: dict[int, list[tuple[float, float, float]]] = {count: [] for count in PAGES}
    refused = None
    with system() as rows:
        books, monitor = rows["books-1"], rows["monitor-1"]
        port = urlsplit(books["url"]).port
        measure(port, PATH, options.connections, 2)
        for _ in range(options.rounds):
            for count in PAGES:
                with pages(monitor["url"], count):
                    refused = one_more(monitor["url"]) if count == max(PAGES) else refused
                    results[count].append(one_run(measure, port, (books["pid"], monitor["pid"]), options))
    return told(results, refused)


def one_run(measure, port: int, pids: tuple[int, int], options) -> tuple[float, float, float]:
    """Requests a second, microseconds of books for one, milliseconds of the monitor a second."""
    (books, watcher), began = map(cpu_seconds, pids), time.monotonic()
    result = measure(port, PATH, options.connections, options.seconds)
    took = time.monotonic() - began
    if result.errors:
        print(f"{result.errors} errors", file=sys.stderr)
    spent, watched = cpu_seconds(pids[0]) - books, cpu_seconds(pids[1]) - watcher
    return result.rate, spent / (result.rate * options.seconds) * 1e6, watched / took * 1e3


def told(results: dict[int, list[tuple[float, float, float]]], refused: tuple[int, str | None] | None) -> int:
    """Print the medians; 0 if the pages cost next to nothing."""
    medians = {
        count: [statistics.median(each) for each in zip(*runs, strict=True)]
        for count, runs in results.items()
    }
    rate, cpu, _ = medians[0]
    print("pages  requests/s  of those without  cpu us a request  of those without  monitor cpu ms/s")
    for count, (own_rate, own_cpu, monitor) in medians.items():
        print(
            f"{count:5}  {own_rate:10,.0f}  {own_rate / rate:16.3f}  {own_cpu:16.0f}"
            f"  {own_cpu / cpu:16.3f}  {monitor:16.1f}"
        )
    print(f"the 51st is told {refused}")
    worst = medians[max(PAGES)]
    held = worst[0] >= LEAST * rate and worst[1] <= MOST * cpu
    return 0 if held and refused == (503, "too-many-readers") else 1


if __name__ == "__main__":
    sys.exit(main())
