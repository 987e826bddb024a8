"""POST /v1/orders at 32 connections, beside single-row commits in the same PostgreSQL.

    uv run python bench/orders_create.py [--seconds 5] [--rounds 3] [--keys]

Starts a PostgreSQL with durable commits, books and orders (one process each) on free ports. Each order is
of one book, chosen at random among 200: its copies are reserved, which tells its price, and it is committed
with its line, its event, its job and its hold. With `--keys` each has an Idempotency-Key of its own. The raw
rate is pgbench's, one INSERT of one row a transaction, at the same number of connections; rounds of both take
turns. Prints a table of medians, and what an order and a raw commit cost of the processor: the figures to
compare when others use the machine too. Exits 1 if there was an error, or less than 0.15 of the raw rate.
"""

import argparse
import os
import re
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from generators import Result, wrk
from parts import BOOKS, PATIENCE, cpu_seconds, service, stores

from bookstore.stores.provision import Database, provision

GOAL = 0.15
CONNECTIONS = 32

WRK_SCRIPT = """
math.randomseed(os.time())
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local sent, run = 0, math.random(1e9)
request = function()
    sent = sent + 1
    if {keys} then wrk.headers["Idempotency-Key"] = run .. "-" .. sent end
    return wrk.format(nil, "/v1/orders", nil, '{{"book_id":' .. math.random({books}) .. ',"quantity":1}}')
end
"""
RAW = "INSERT INTO raw (number) VALUES (1);"


def orders_made(
    port: int, seconds: int, *, keys: bool, books: int = BOOKS, connections: int = CONNECTIONS
) -> Result:
    return wrk(port, WRK_SCRIPT.format(keys=str(keys).lower(), books=books), connections, seconds)


def orders_made_by(ports: list[int], seconds: int, *, keys: bool) -> Result:
    """Orders made by several processes, each with its part of the connections."""
    share = CONNECTIONS // len(ports)
    with ThreadPoolExecutor(len(ports)) as pool:
        runs = list(pool.map(lambda port: orders_made(port, seconds, keys=keys, connections=share), ports))
    return Result(
        sum(run.rate for run in runs),
        statistics.mean(run.p50 for run in runs),
        max(run.p99 for run in runs),
        sum(run.errors for run in runs),
    )


def of_ended(url: str) -> float:
    """Seconds of the processor that children of this process and backends of the server used, and ended."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    with psycopg.connect(url) as connection:
        backend = connection.info.backend_pid
        server = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1]
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    theirs = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return own.ru_utime + own.ru_stime + theirs


def raw_commits(url: str, seconds: int) -> tuple[float, float]:
    """Commits a second, and the microseconds of the processor that PostgreSQL and pgbench spend on one."""
    begun = of_ended(url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(RAW)
        script.flush()
        command = ["pgbench", "--no-vacuum", "--client", str(CONNECTIONS), "--time", str(seconds)]
        command += ["--protocol", "prepared", "--file", script.name, url]
        told = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=seconds + PATIENCE
        ).stdout
    rate = float(re.search(r"tps = ([\d.]+)", told)[1])
    return rate, (of_ended(url) - begun) / (rate * seconds) * 1_000_000


def backends(user: str) -> dict[int, float]:
    """Seconds of the processor that each backend of that user's has used so far, by its pid."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"postgres: {user} " in (folder / "cmdline").read_text():
                found[int(folder.name)] = cpu_seconds(int(folder.name))
        except OSError:  # it has just ended
            continue
    return found


class Spent:
    """Microseconds of the processor for each order, of each part."""

    def __init__(self, **pids: list[int]) -> None:
        self._pids = pids
        self._begun = self._now()
        self.orders = 0.0
        self.us = dict.fromkeys(self._begun, 0.0)

    def _now(self):
        told = {name: {pid: cpu_seconds(pid) for pid in pids} for name, pids in self._pids.items()}
        return told | {f"{name}'s postgres": backends(f"{name}_user") for name in self._pids}

    @contextmanager
    def counting(self, made: list[Result], seconds: int):
        self._begun = self._now()
        yield
        count = made[-1].rate * seconds
        for name, used in self._now().items():
            seconds_used = sum(each - self._begun[name].get(pid, 0.0) for pid, each in used.items())
            self.us[name] += seconds_used * 1_000_000
        self.orders += count

    def __str__(self) -> str:
        each = {name: used / self.orders for name, used in self.us.items()}
        return "  ".join(f"{name} {used:.0f}" for name, used in {**each, "all": sum(each.values())}.items())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind; medians are shown")
    parser.add_argument("--replicas", type=int, default=1, help="processes of orders")
    parser.add_argument("--keys", action="store_true", help="give each order an Idempotency-Key")
    options = parser.parse_args()
    if missing := [tool for tool in ("wrk", "pgbench") if not shutil.which(tool)]:
        raise SystemExit(f"this needs {' and '.join(missing)}")

    with ExitStack() as stack:
        administrator, _ = stack.enter_context(stores(Path(tempfile.mkdtemp(prefix="bookstore-bench-"))))
        databases = {
            name: Database(f"{name}_db", f"{name}_user", secrets.token_urlsafe(12))
            for name in ("books", "orders", "raw")
        }
        provision(administrator, [*databases.values()])
        urls = {name: database.url(administrator) for name, database in databases.items()}
        table = "CREATE TABLE raw (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number int)"
        subprocess.run(["psql", "--quiet", "--command", table, urls["raw"]], check=True)
        books, books_pid = stack.enter_context(
            service(
                "bookstore.books",
                f"/v1/books/{BOOKS}",
                DATABASE_URL=urls["books"],
                SEED_CATALOGUE="true",
                DEFAULT_STOCK="1000000000",
                ACCESS_LOG="false",
            )
        )
        replicas = [
            stack.enter_context(
                service(
                    "bookstore.orders",
                    "/health/ready",
                    DATABASE_URL=urls["orders"],
                    BOOKS_SERVICE_URL=f"http://127.0.0.1:{books}",
                    ORDERS_MAX_UNFINISHED="100000000",
                    ACCESS_LOG="false",
                )
            )
            for _ in range(options.replicas)
        ]
        ports, pids = [port for port, _ in replicas], [pid for _, pid in replicas]
        orders_made_by(ports, 2, keys=options.keys)  # connections are open, statements prepared
        raw_commits(urls["raw"], 2)
        made, raw = [], []
        spent = Spent(orders=pids, books=[books_pid])
        for _ in range(options.rounds):
            with spent.counting(made, options.seconds):
                made.append(orders_made_by(ports, options.seconds, keys=options.keys))
            raw.append(raw_commits(urls["raw"], options.seconds))

    rate, p50, p99 = (
        statistics.median(getattr(run, name) for run in made) for name in ("rate", "p50", "p99")
    )
    errors = sum(run.errors for run in made)
    commits, cost = (statistics.median(each) for each in zip(*raw, strict=True))
    share = rate / commits
    print(f"POST /v1/orders, {CONNECTIONS} connections, load {os.getloadavg()[0]:.1f}")
    print("orders/s  p50 ms  p99 ms  errors  raw commits/s  share")
    print(f"{rate:8,.0f}  {p50:6.1f}  {p99:6.1f}  {errors:6}  {commits:13,.0f}  {share:5.3f}")
    print(f"microseconds of the processor: an order {spent}; a raw commit {cost:.0f}")
    return 0 if not errors and share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
