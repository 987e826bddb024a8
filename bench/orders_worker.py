# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "bookstore-orders",
#     "bookstore-stores",
#     "psutil",
#     "rq",
# ]
#
# [tool.uv.sources]
# bookstore-contracts = { path = "../packages/contracts", editable = true }
# bookstore-orders = { path = "../apps/orders", editable = true }
# bookstore-resilience = { path = "../packages/resilience", editable = true }
# bookstore-service = { path = "../packages/service", editable = true }
# bookstore-stores = { path = "../packages/stores", editable = true }
# ///
"""Orders workers with a supplier that answers at once: orders finished a second, and what an order costs.

    uv run bench/orders_worker.py [--workers 1] [--orders 20000] [--rounds 3] [--stock] [--rq]

Starts a PostgreSQL (with fsync, as in the product), a Redis, a supplier that does nothing but answer, and
one worker or `--workers` of them, each a process of its own. Orders are placed while the queue is paused, so
that only workers are measured: relay, claim, call, commit, acknowledgement. `--stock` gives each order a
reservation, which is a second job with a call of its own. `--rq` runs the same call as a job of RQ's
SimpleWorker, which keeps no ledger, in the same run.

Exits 1 if an order was lost or processed twice, or if anything is left in the stream or in the ledger.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg
import redis as redis_client

from bookstore.orders.queue.app import STREAMS
from bookstore.service.migrate import upgrade
from bookstore.stores.account import unprivileged
from bookstore.stores.guardian import Guardian
from bookstore.stores.ports import any_free
from bookstore.stores.postgres import Postgres
from bookstore.stores.provision import Database, provision
from bookstore.stores.redis import Redis
from bookstore.stores.server import Server

GOAL = 2000
PATIENCE = 300


class Instant(asyncio.Protocol):
    """The cheapest supplier there can be, and books that settle at once."""

    calls = 0

    def connection_made(self, transport):
        self.transport = transport
        self.data = b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            body, self.data = self.data[end + 4 : end + 4 + length], self.data[end + 4 + length :]
            if b" /validate " in head:
                Instant.calls += 1
                order = body[body.find(b":") + 1 : body.find(b",")]
                answer = b'{"order_id":%b,"status":"validated","reason":null}' % order
            elif head.startswith(b"get /calls"):
                answer = b"%d" % Instant.calls
            else:
                answer = b'{"data":[]}'
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))


def serve(port):
    import uvloop  # noqa: PLC0415 - only this process needs it

    async def run():
        server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(run())


def ask(order_id, port):
    """What a job of RQ does."""
    body = json.dumps({"order_id": order_id, "items": [{"book_id": 7, "quantity": 1}]}).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/validate", body)
    with urllib.request.urlopen(asked) as answer:  # noqa: S310 - our own
        return json.load(answer)["status"]


@contextmanager
def process(*argv, **environment):
    child = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(30)


def wait(check):
    until = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > until:
            sys.exit("it never came about")
        time.sleep(0.02)


def answers(port, path="/health/ready"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def place(database, count, stock):
    database.execute("UPDATE queue SET paused_at = now()")
    first = database.execute("SELECT coalesce(max(id), 0) FROM orders").fetchone()[0]
    reservation = "gen_random_uuid()::text" if stock else "NULL"
    database.execute(
        f"INSERT INTO orders (lines, total_price, reservation_id) SELECT 1, 9.49, {reservation}"  # noqa: S608
        " FROM generate_series(1, %s)", (count,)
    )  # fmt: skip
    for query in (
        "INSERT INTO order_lines SELECT id, 1, 7, 'Emma', 'Austen', 1, 9.49, 9.49 FROM orders WHERE id > %s",
        "INSERT INTO order_events (order_id, to_state, cause) SELECT id, status, '' FROM orders"  # noqa: ISC004
        " WHERE id > %s",
        "INSERT INTO ledger (order_id) SELECT id FROM orders WHERE id > %s",
    ):
        database.execute(query, (first,))
    database.execute("ANALYZE")


def unfinished(database):
    return database.execute("SELECT count(*) FROM ledger WHERE finished_at IS NULL").fetchone()[0]


def measured(database, parts, arguments):
    """Orders a second, and milliseconds of CPU an order of each of these processes."""
    place(database, arguments.orders, arguments.stock)
    busy = [sum(map(cpu, part)) for part in parts]
    began = time.perf_counter()
    database.execute("UPDATE queue SET paused_at = NULL")
    wait(lambda: unfinished(database) == 0)
    seconds = time.perf_counter() - began
    spent = [
        (after - before) * 1000 / arguments.orders
        for after, before in zip([sum(map(cpu, part)) for part in parts], busy, strict=True)
    ]
    return arguments.orders / seconds, *spent


def counted(database, client):
    """What the stores have done so far."""
    database.execute("SELECT pg_stat_force_next_flush()")
    commits, log = database.execute(
        "SELECT xact_commit, pg_current_wal_lsn() - '0/0' FROM pg_stat_database WHERE datname = 'orders_db'"
    ).fetchone()
    commands = client.info("stats")["total_commands_processed"]
    return {"commits": int(commits), "bytes of WAL": int(log), "Redis commands": commands}


def cpu(one):
    """Seconds of CPU of a process and its children so far, those that have ended included."""
    family = [one, *one.children(recursive=True)]
    times = [each.cpu_times() for each in family]
    return sum(each.user + each.system for each in times) + times[0].children_user + times[0].children_system


def bloat(database):
    """What the tables that the worker writes to are made of, after all that was done to them."""
    database.execute("SELECT pg_stat_force_next_flush()")
    rows = database.execute(
        "SELECT relname, n_live_tup, n_dead_tup, 100 * n_tup_hot_upd / greatest(n_tup_upd, 1),"
        " autovacuum_count, pg_relation_size(relid) / 1024, pg_indexes_size(relid) / 1024"
        " FROM pg_stat_user_tables"
        " WHERE relname IN ('ledger', 'orders', 'order_events') ORDER BY relname"
    ).fetchall()
    print(f"{'table':14}{'rows':>9}{'dead':>9}{'HOT %':>7}{'vacuums':>9}{'kB':>9}{'indexes kB':>12}")
    for row in rows:
        print("{:14}{:>9}{:>9}{:>7}{:>9}{:>9}{:>12}".format(*row))


def by_rq(redis_url, port, count):
    """Jobs a second of RQ's SimpleWorker, the quickest that it has."""
    from rq import Queue, SimpleWorker  # noqa: PLC0415 - only with --rq

    connection = redis_client.Redis.from_url(redis_url)
    queue = Queue("bench", connection=connection)
    for order_id in range(count):  # by its name: what RQ runs must not be of the module that is run
        queue.enqueue("orders_worker.ask", order_id, port)
    began = time.perf_counter()
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
    return count / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1, help="how many share the work")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stock", action="store_true", help="each order has a reservation to settle")
    parser.add_argument("--rq", action="store_true", help="beside RQ's SimpleWorker")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        guardian = Guardian()
        stack.callback(guardian.close)
        given = {"password": "bench", "account": unprivileged()}
        postgres = stack.enter_context(
            Server(Postgres(folder=folder / "postgres", port=any_free(), **given), guardian)
        )
        redis = stack.enter_context(
            Server(Redis(folder=folder / "redis", port=any_free(), **given), guardian)
        )
        owned = Database("orders_db", "orders_user", "bench")
        provision(postgres.url, [owned])
        url = owned.url(postgres.url)
        upgrade("bookstore.orders", url)
        outside = any_free()
        stack.enter_context(process(sys.executable, __file__, "--serve", str(outside)))
        workers = []
        for _ in range(arguments.workers):
            metrics = any_free()
            worker = process(
                sys.executable, "-m", "bookstore.orders.queue",
                PORT=str(metrics), DATABASE_URL=url, REDIS_URL=redis.url, ACCESS_LOG="false",
                BOOKS_SERVICE_URL=f"http://127.0.0.1:{outside}", SUPPLIER_SERVICE_URL=f"http://127.0.0.1:{outside}",
            )  # fmt: skip
            workers.append(stack.enter_context(worker))
            wait(lambda metrics=metrics: answers(metrics))
        database = stack.enter_context(psycopg.connect(url, autocommit=True))
        place(database, 500, arguments.stock)
        database.execute("UPDATE queue SET paused_at = NULL")
        wait(lambda: unfinished(database) == 0)
        rounds = []
        parts = [workers, [psutil.Process(postgres.pid)], [psutil.Process(redis.pid)]]
        print(f"{'orders/s':>10}{'workers ms':>11}{'postgres ms':>13}{'redis ms':>10}")
        client = stack.enter_context(redis_client.Redis.from_url(redis.url))
        before = counted(database, client)
        for _ in range(arguments.rounds):
            rounds.append(measured(database, parts, arguments))
            print("{:>10.0f}{:>11.3f}{:>13.3f}{:>10.3f}".format(*rounds[-1]))
        made = arguments.orders * arguments.rounds
        print(
            *(
                f"{(now - then) / made:.2f} {name}"
                for (name, then), now in zip(before.items(), counted(database, client).values(), strict=True)
            ),
            "an order",
            sep=", ",
        )
        rate = statistics.median(rate for rate, *_ in rounds)
        print(f"median {rate:.0f} orders/s, {rate / GOAL:.2f} of the goal of {GOAL}")
        if arguments.rq:
            peer = by_rq(redis.url, outside, 2000)
            print(f"RQ SimpleWorker: {peer:.0f} jobs/s; {rate / peer:.1f} times as many here")
        bloat(database)
        placed = 500 + arguments.orders * arguments.rounds
        return verdict(database, redis.url, placed, outside)


def verdict(database, redis_url, placed, outside):
    """0 if every order was processed once, and nothing is left."""
    with urllib.request.urlopen(f"http://127.0.0.1:{outside}/calls") as answer:
        calls = int(answer.read())
    done = database.execute("SELECT count(*) FROM orders WHERE status = 'Validated'").fetchone()[0]
    twice = database.execute(
        "SELECT count(*) FROM (SELECT order_id FROM order_events GROUP BY order_id HAVING count(*) <> 2) t"
    ).fetchone()[0]
    with redis_client.Redis.from_url(redis_url) as client:
        wait(lambda: all(client.xlen(stream) == 0 for stream in STREAMS.values()))
        pending = sum(client.xpending(stream, "workers")["pending"] for stream in STREAMS.values())
    print(f"{done} of {placed} orders validated, {twice} not exactly once, {calls} calls, {pending} pending")
    return int((done, twice, pending) != (placed, 0, 0))


if __name__ == "__main__":
    sys.exit(main())
