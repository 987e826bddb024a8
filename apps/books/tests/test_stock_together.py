"""Stock adds up whatever happens: many callers at once, connections cut, processes killed, answers lost."""

import os
import random
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from time import monotonic, sleep

import httpx
import psycopg
import pytest

PUT_IN = 500
BOOKS = range(1, 5)
CLIENTS, BASKETS = 8, 20
PATIENCE = 60.0

UNEVEN = """
    WITH summed AS (
        SELECT book_id, coalesce(sum(quantity) FILTER (WHERE state = 'held'), 0) AS held,
            coalesce(sum(quantity) FILTER (WHERE state = 'committed'), 0) AS committed
        FROM reservation_lines JOIN reservations ON id = reservation_id GROUP BY book_id)
    SELECT books.id, on_hand, reserved, summed FROM books LEFT JOIN summed ON book_id = books.id
    WHERE reserved NOT BETWEEN 0 AND on_hand
        OR reserved <> coalesce(held, 0) OR on_hand + coalesce(committed, 0) <> %s
"""


class Replica:
    """A process of the service, that can be killed and started again."""

    def __init__(self, database_url, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder, self.database_url = folder, database_url
        self.start()

    def start(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
        settings = {"DATABASE_URL": self.database_url, "PORT": str(self.port), "ACCESS_LOG": "false"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bookstore.books"],
            env=kept | settings,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ready(self):
        until = monotonic() + PATIENCE
        while monotonic() < until:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                sleep(0.02)
        raise TimeoutError(self.url)


@pytest.fixture
def replicas(database_url, tmp_path):
    with psycopg.connect(database_url) as database:
        database.execute(
            "INSERT INTO books (title, author, price, on_hand)"
            " SELECT 'B', 'A', 1, %s FROM generate_series(1, %s)",
            (PUT_IN, len(BOOKS)),
        )
    both = [Replica(database_url, tmp_path) for _ in range(2)]
    try:
        for each in both:
            each.ready()
        yield both
    finally:
        for each in both:
            each.kill()


class Buyer:
    """Reserves, commits, releases and gives up; asks again, anywhere, until it is told what happened."""

    def __init__(self, number, replicas):
        self.number, self.replicas = number, replicas
        self.chance = random.Random(number)  # noqa: S311 - a seed, to play it again
        self.client = httpx.Client(timeout=5)
        self.ended = {}

    def ask(self, method, path, **more):
        until = monotonic() + PATIENCE
        while monotonic() < until:
            try:
                answer = self.client.request(method, self.chance.choice(self.replicas).url + path, **more)
            except httpx.TransportError:
                sleep(0.005)
                continue
            if answer.status_code != 503:
                return answer
        raise TimeoutError(path)

    def buy(self):
        for basket in range(BASKETS):
            name = f"buyer-{self.number}-{basket}"
            books = self.chance.sample(BOOKS, self.chance.randint(1, 3))
            items = [{"book_id": book_id, "quantity": self.chance.randint(1, 5)} for book_id in books]
            self.ended[name] = self.one(f"/inventory/reservations/{name}", {"items": items})
        self.client.close()
        return self.ended

    def one(self, path, body):
        if self.chance.random() < 0.2:  # gives up before there is an answer
            try:
                url = self.chance.choice(self.replicas).url
                self.client.put(url + path, json=body, timeout=self.chance.choice([0.0005, 0.005]))
            except httpx.TransportError:
                pass
            assert self.ask("POST", f"{path}/release").json()["state"] == "released"
            assert self.ask("PUT", path, json=body).status_code == 409
            return "released"
        made = self.ask("PUT", path, json=body)
        if made.status_code == 409:
            assert made.json()["type"].endswith(":insufficient-stock")
            return None
        assert made.status_code in {200, 201}, made.text
        how = self.chance.choice(["commit", "release", None])
        if how is None:
            return "held"
        settled = self.ask("POST", f"{path}/{how}")
        assert settled.status_code == 200, settled.text
        return settled.json()["state"]


def test_stock_adds_up_whatever_is_cut_or_killed(replicas, database_url):
    done = Event()

    def break_things():
        chance = random.Random(0)  # noqa: S311 - a seed, to play it again
        with psycopg.connect(database_url, autocommit=True) as own:
            for step in range(8):
                own.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND state <> 'idle' LIMIT 3"
                )
                if step % 4 == 3:
                    one = chance.choice(replicas)
                    one.kill()
                    one.start()
                    one.ready()
                if done.wait(0.1):
                    return

    def watch():
        looks = 0
        while not done.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(database_url, autocommit=True) as own:
                while not done.is_set():  # or until it is cut off as well
                    assert own.execute(UNEVEN, (PUT_IN,)).fetchall() == []
                    looks += 1
        return looks

    with ThreadPoolExecutor(CLIENTS + 2) as pool:
        watcher, breaker = pool.submit(watch), pool.submit(break_things)
        try:
            buyers = [pool.submit(Buyer(number, replicas).buy) for number in range(CLIENTS)]
            believed = {name: state for buyer in buyers for name, state in buyer.result().items()}
            breaker.result()
        finally:
            done.set()
        assert watcher.result() > 10

    with psycopg.connect(database_url) as database:
        assert database.execute(UNEVEN, (PUT_IN,)).fetchall() == []
        kept = dict(database.execute("SELECT id, state FROM reservations").fetchall())
    assert kept == {name: state for name, state in believed.items() if state}
    assert {"held", "committed", "released"} == set(kept.values())


def test_baskets_in_opposite_order_never_wait_for_each_other(own, add):
    books = [add(own, stock=10_000)["id"] for _ in range(6)]

    def reserve(number):
        items = [{"book_id": book_id, "quantity": 1} for book_id in (books if number % 2 else books[::-1])]
        path = f"/inventory/reservations/order-{number}"
        statuses = [own.put(path, json={"items": items}).status_code]
        if number % 3:
            statuses.append(own.post(f"{path}/{'commit' if number % 3 == 1 else 'release'}").status_code)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        for number, statuses in enumerate(pool.map(reserve, range(120))):
            assert statuses == [201, 200][: 2 if number % 3 else 1]
    for book_id in books:
        told = {"book_id": book_id, "quantity": 10_000 - 80, "reserved": 40}
        assert own.get(f"/inventory/{book_id}").json() == told


def test_of_many_with_one_name_one_is_the_first(own, add):
    book_id = add(own, stock=10)["id"]
    items = [{"book_id": book_id, "quantity": 1}]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: own.put("/inventory/reservations/a", json={"items": items}), range(24))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
    assert len({answer.content for answer in answers}) == 1
    with ThreadPoolExecutor(8) as pool:
        ends = list(
            pool.map(
                lambda number: (
                    own.post(f"/inventory/reservations/a/{'commit' if number % 2 else 'release'}").status_code
                ),
                range(24),
            )
        )
    assert sorted(ends) == [200] * 12 + [409] * 12
    told = own.get(f"/inventory/{book_id}").json()
    assert (told["quantity"], told["reserved"]) in {(10, 0), (9, 0)}


def test_the_last_copies_are_sold_once(own, add):
    book_id = add(own, stock=10)["id"]

    def reserve(number):
        items = [{"book_id": book_id, "quantity": 1}]
        while True:  # on a machine that is busy elsewhere, "come back later" is an answer too
            answer = own.put(f"/inventory/reservations/order-{number}", json={"items": items}).status_code
            if answer != 503:
                return answer if answer != 200 else 201

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(reserve, range(30))) == [201] * 10 + [409] * 20
    assert own.get(f"/inventory/{book_id}").json() == {"book_id": book_id, "quantity": 0, "reserved": 10}


@pytest.mark.parametrize(
    "broken", ["reserved = -1", "reserved = 6, on_hand = 5", "on_hand = 0, reserved = 1", "on_hand = -1"]
)
def test_the_database_refuses_stock_that_cannot_be(database_url, broken):
    with psycopg.connect(database_url) as database:
        database.execute("INSERT INTO books (title, author, price, on_hand) VALUES ('B', 'A', 1, 5)")
        with pytest.raises(psycopg.errors.CheckViolation):
            database.execute(f"UPDATE books SET {broken}")  # noqa: S608 - from the list above
