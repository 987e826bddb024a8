"""What an order costs when there are more processes: processor, commits, bytes, connections, Redis commands.

    uv run python bench/scaling.py [--replicas 1 2 4] [--seconds 5] [--books 200]

Starts a PostgreSQL with durable commits, a Redis, one supplier, and of books, orders and workers so many
as asked for; each orders process has a books process to ask. Orders are placed at 32 connections for each
orders process, and what is counted goes on until the last one is validated and its stock is settled: so it is
what an order costs in the end. On a machine of few cores more processes are no faster. What is asked is
whether each order costs more when more share the work: that would be the end of scaling by replicas. With
`--books 1` all want the same book, whose row they have to wait for. Exits 1 if an order was refused, lost, or
not validated.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import redis as redis_client
from orders_create import CONNECTIONS, backends, orders_made
from parts import BOOKS, cpu_seconds, service, stores

from bookstore.stores.provision import Database, provision, with_database

PATIENCE = 300
PARTS = ("orders", "books", "workers", "books_db", "orders_db", "redis")
COUNTS = ("books_db commits", "orders_db commits", "WAL bytes", "kept bytes", "redis commands")


class Scene:
    """A system of so many processes of each kind."""

    def __init__(self, stack: ExitStack, replicas: int) -> None:
        self.administrator, self.redis = stack.enter_context(
            stores(Path(tempfile.mkdtemp(prefix="bookstore-bench-")))
        )
        databases = [
            Database(f"{name}_db", f"{name}_user", secrets.token_urlsafe(12)) for name in ("books", "orders")
        ]
        provision(self.administrator, databases)
        books_url, orders_url = (database.url(self.administrator) for database in databases)
        supplier, _ = stack.enter_context(service("bookstore.supplier", "/health/ready", CONTROL_PORT="0"))
        outside = {"SUPPLIER_SERVICE_URL": f"http://127.0.0.1:{supplier}", "REDIS_URL": self.redis}
        self.pids: dict[str, list[int]] = {"orders": [], "books": [], "workers": []}
        self.ports = []
        for _ in range(replicas):
            books, books_pid = stack.enter_context(
                service(
                    "bookstore.books",
                    f"/v1/books/{BOOKS}",
                    DATABASE_URL=books_url,
                    REDIS_URL=self.redis,
                    SEED_CATALOGUE="true",
                    DEFAULT_STOCK="1000000000",
                )
            )
            near = {"DATABASE_URL": orders_url, "BOOKS_SERVICE_URL": f"http://127.0.0.1:{books}"}
            orders, orders_pid = stack.enter_context(
                service("bookstore.orders", "/health/ready", **near, ORDERS_MAX_UNFINISHED="100000000")
            )
            _, worker_pid = stack.enter_context(
                service("bookstore.orders.queue", "/health/ready", **near, **outside, DRAIN_FINISH="1")
            )
            for name, pid in (("orders", orders_pid), ("books", books_pid), ("workers", worker_pid)):
                self.pids[name].append(pid)
            self.ports.append(orders)
        self.orders_db = stack.enter_context(
            psycopg.connect(with_database(self.administrator, "orders_db"), autocommit=True)
        )
        self.client = stack.enter_context(redis_client.Redis.from_url(self.redis))

    def spent(self) -> dict[str, float]:
        """Seconds of the processor so far, by part."""
        used = {name: sum(map(cpu_seconds, pids)) for name, pids in self.pids.items()}
        used |= {f"{name}_db": sum(backends(f"{name}_user").values()) for name in ("books", "orders")}
        told = self.client.info("cpu")
        return used | {"redis": told["used_cpu_user"] + told["used_cpu_sys"]}

    def counted(self) -> dict[str, int]:
        """What the stores have done so far."""
        self.orders_db.execute("SELECT pg_stat_force_next_flush()")
        commits = dict(self.orders_db.execute("SELECT datname, xact_commit FROM pg_stat_database").fetchall())
        one = "SELECT pg_current_wal_lsn() - '0/0', (SELECT sum(pg_database_size(oid)) FROM pg_database)"
        log, kept = self.orders_db.execute(one).fetchone()
        return {
            "books_db commits": commits["books_db"],
            "orders_db commits": commits["orders_db"],
            "WAL bytes": int(log),
            "kept bytes": int(kept),
            "redis commands": self.client.info("stats")["total_commands_processed"],
        }

    def connections(self) -> int:
        """How many the processes have to PostgreSQL."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename IN ('books_user', 'orders_user')"
        return self.orders_db.execute(query).fetchone()[0]

    def orders(self, status: str = "%") -> int:
        query = "SELECT count(*) FROM orders WHERE status LIKE %s"
        return self.orders_db.execute(query, (status,)).fetchone()[0]

    def settle(self) -> None:
        """Return when nothing is owed any more."""
        until = time.monotonic() + PATIENCE
        query = "SELECT count(*) FROM ledger WHERE finished_at IS NULL"
        while self.orders_db.execute(query).fetchone()[0]:
            if time.monotonic() > until:
                raise SystemExit("orders were left over")
            time.sleep(0.1)

    def load(self, seconds: int, books: int) -> int:
        """Place orders at every process, and see them through; gives how many were refused."""
        with ThreadPoolExecutor(len(self.ports)) as pool:
            made = [pool.submit(orders_made, port, seconds, keys=False, books=books) for port in self.ports]
            results = [each.result() for each in made]
        self.settle()
        return sum(result.errors for result in results)


def measure(replicas: int, seconds: int, books: int) -> tuple[int, int]:
    """Prints a row; gives how many orders were refused, and how many were taken and not validated."""
    with ExitStack() as stack:
        scene = Scene(stack, replicas)
        refused = scene.load(1, books)  # connections are open, statements prepared
        before, spent, counted = scene.orders(), scene.spent(), scene.counted()
        began = time.monotonic()
        refused += scene.load(seconds, books)
        took = time.monotonic() - began
        made = scene.orders() - before
        us = {name: (used - spent[name]) / made * 1_000_000 for name, used in scene.spent().items()}
        each = {name: (count - counted[name]) / made for name, count in scene.counted().items()}
        row = [f"{replicas:8}", f"{made / took:8,.0f}", *(f"{us[name]:9.0f}" for name in PARTS)]
        print(
            *row,
            f"{sum(us.values()):6.0f}",
            *(f"{each[name]:17.2f}" for name in COUNTS),
            f"{scene.connections():11}",
        )
        lost = scene.orders() - scene.orders("Validated")
        return refused, lost


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4], help="processes of each kind")
    parser.add_argument("--seconds", type=int, default=5, help="how long orders are placed")
    parser.add_argument("--books", type=int, default=BOOKS, help="among how many books orders choose")
    options = parser.parse_args()
    print(
        f"An order from its request to its settled stock, {CONNECTIONS} connections a process; load",
        os.getloadavg()[0],
    )
    print("The parts are microseconds of the processor an order.")
    print(
        "replicas",
        "orders/s",
        *(f"{name:>9}" for name in PARTS),
        f"{'all':>6}",
        *(f"{name:>17}" for name in COUNTS),
        "connections",
    )
    wrong = [measure(replicas, options.seconds, options.books) for replicas in options.replicas]
    refused, lost = (sum(each) for each in zip(*wrong, strict=True))
    print(f"{refused} orders were refused; {lost} of those that were taken were not validated")
    return 1 if refused or lost else 0


if __name__ == "__main__":
    sys.exit(main())
