"""What open consoles cost the system that they look at.

    uv run python bench/console.py [--seconds 5] [--rounds 7] [--connections 16]

A whole system (`bookstore up`), with no page open and with fifty, in turns: `GET /v2/books/{id}` at books by
wrk (or a generator of its own), what a request costs it of the processor, and what the monitor costs a
second. A page is a connection that reads the stream of events and throws it away, in one process for all.
Without pages means that the monitor has stopped asking services too, which it does seconds after the last
page has gone. The 51st is refused, and shown. Exits 1 if fifty leave less than 0.95 of the throughput without
any, or make a request cost more than 5 % more of the processor (medians over the rounds of the ratio within
a round), or if the 51st isn't told so.
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

from bookstore.monitor.survey.survey import KEPT_UP, PACE

PAGES = (0, 50)
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
        time.sleep(KEPT_UP + 2 * PACE)
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
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each kind; medians are shown")
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
    """Print what was measured; 0 if the pages cost next to nothing."""
    print("pages  requests/s  cpu us a request  monitor cpu ms/s")
    for count, runs in results.items():
        rate, cpu, monitor = (statistics.median(each) for each in zip(*runs, strict=True))
        print(f"{count:5}  {rate:10,.0f}  {cpu:16.0f}  {monitor:16.1f}")
    pairs = list(zip(*(results[count] for count in PAGES), strict=True))
    rates = sorted(seen[0] / alone[0] for alone, seen in pairs)
    costs = sorted(seen[1] / alone[1] for alone, seen in pairs)
    for name, ratios in (("requests/s", rates), ("cpu a request", costs)):
        least, *_, most = ratios
        print(f"{name} with fifty: {statistics.median(ratios):.3f} of without, {least:.3f} to {most:.3f}")
    print(f"the 51st is told {refused}")
    held = statistics.median(rates) >= LEAST and statistics.median(costs) <= MOST
    return 0 if held and refused == (503, "too-many-readers") else 1


if __name__ == "__main__":
    sys.exit(main())
