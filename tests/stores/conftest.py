"""Redis in its three modes, a pooler before PostgreSQL, and a shop that runs on them in this very process."""

import asyncio
import secrets
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import psycopg
import pytest
import redis as redis_client

from bookstore.books.app import create_app as create_books
from bookstore.books.settings import BooksSettings
from bookstore.orders.app import create_app as create_orders
from bookstore.orders.queue.app import create_app as create_worker
from bookstore.orders.queue.settings import WorkerSettings
from bookstore.orders.settings import OrdersSettings
from bookstore.service.migrate import upgrade
from bookstore.service.redis_home import Home
from bookstore.service.testing import eventually, serving, soon
from bookstore.service.testing.patience import patient
from bookstore.service.testing.serving import free_port
from bookstore.stores.account import unprivileged
from bookstore.stores.errors import StoreError
from bookstore.stores.ports import any_free
from bookstore.stores.postgres import Postgres
from bookstore.stores.redis_cluster import RedisCluster
from bookstore.stores.redis_sentinel import WatchedRedis
from bookstore.stores.server import Server
from bookstore.supplier.app import create_app as create_supplier
from bookstore.supplier.settings import SupplierSettings

sys.path.append(str(Path(__file__).parent))  # modules here, which tests import

PATIENCE = 60.0
PROMISE = 2.0
"""Seconds within which an order is answered, whatever fails."""


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture():
    return eventually


@pytest.fixture(scope="session", name="soon")
def soon_fixture():
    return soon


class Mode:
    """A Redis installation: its URL, its servers, and which of them has a key now."""

    def __init__(self, url, servers, password, watchers=()):
        self.url = url
        self.servers = servers
        self.watchers = watchers
        self.password = password

    def server_of(self, keys):
        """The server that clients of these keys talk to now; None while nobody knows."""
        try:
            found = asyncio.run(Home(self.url, keys).find())
        except Exception:  # noqa: BLE001 - a failover is under way
            return None
        return next(server for server in self.servers if server.port == found.port)

    def client(self, server):
        """One server, past all that is tested."""
        return redis_client.Redis(port=server.port, password=self.password, socket_timeout=10)

    def replica_of(self, server):
        """The first replica of a master."""
        with self.client(server) as client:
            _, _, ((_, port, _), *_) = client.execute_command("ROLE")
        return next(each for each in self.servers if each.port == int(port))


def _started(make):
    """What `make` makes, started: a port may have been taken since it was found free."""
    for _ in range(4):
        made = make()
        try:
            made.start()
        except StoreError:
            made.close()
        else:
            return made
    made = make()
    made.start()
    return made


@contextmanager
def _installation(name, folder, guardian, server, **how):
    """An installation of this kind; `server` is one that stands alone."""
    home = folder / f"{name}-{secrets.token_hex(4)}"
    home.mkdir()
    if name == "server":
        yield Mode(server.url, [server], server.store.password)
        return
    kind = {"cluster": RedisCluster, "sentinel": WatchedRedis}[name]
    made = _started(lambda: kind(home, guardian, **how))
    try:
        if name == "cluster":
            yield Mode(made.url, made.nodes, made.password)
        else:
            yield Mode(made.url, made.servers, made.password, made.sentinels)
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)


MODES = ["server", "cluster", "sentinel"]


@pytest.fixture(scope="module", params=MODES)
def mode(request, store_folder, store_guardian, shared_redis):
    """Each mode once for a file, as small as it can be: nothing takes over here."""
    how = {"cluster": {"replicas": 0}, "sentinel": {"replicas": 0, "sentinels": 1}}.get(request.param, {})
    with _installation(request.param, store_folder, store_guardian, shared_redis, **how) as made:
        yield made


@pytest.fixture(params=["cluster", "sentinel"])
def whole(request, store_folder, store_guardian):
    """A mode in which another server takes over, for one test alone."""
    with _installation(request.param, store_folder, store_guardian, None) as made:
        yield made


@pytest.fixture
def cluster(store_folder, store_guardian):
    with _installation("cluster", store_folder, store_guardian, None, replicas=0) as made:
        yield made


@pytest.fixture
def sentinel(store_folder, store_guardian):
    with _installation("sentinel", store_folder, store_guardian, None) as made:
        yield made


@pytest.fixture(scope="session")
def books_template(postgres_template):
    return postgres_template("books", lambda url: upgrade("bookstore.books", url))


@pytest.fixture(scope="session")
def orders_template(postgres_template):
    return postgres_template("orders", lambda url: upgrade("bookstore.orders", url))


@pytest.fixture
def books_database(books_template):
    with books_template.fresh() as url:
        yield url


@pytest.fixture
def orders_database(orders_template):
    with orders_template.fresh() as url:
        yield url


@pytest.fixture
def fresh_server(store_folder, store_guardian):
    """A second PostgreSQL for this test alone."""

    def make():
        return Server(
            Postgres(
                folder=store_folder / f"postgres-{secrets.token_hex(4)}",
                port=any_free(),
                password=secrets.token_urlsafe(12),
                account=unprivileged(),
                durable=False,
            ),
            store_guardian,
        )

    server = _started(make)
    yield server
    server.close()


class Shop:
    """Books, orders, a worker and a supplier that run together."""

    def __init__(self, orders_database, urls):
        self.orders_database = orders_database
        self.http = httpx.Client(timeout=30, trust_env=False)
        self.books, self.orders, self.worker, self.supplier = urls

    def book(self, stock=100_000):
        """A new book; gives its number."""
        new = {"title": "Emma", "author": "Jane Austen", "price": "9.49", "stock": stock}
        return self.http.post(f"{self.books}/v2/books", json=new).raise_for_status().json()["id"]

    def order(self, book, token=None):
        """Order a copy, under one key until it is taken; gives the order's number."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        if token:
            key["Authorization"] = f"Bearer {token}"
        until = monotonic() + PATIENCE
        while True:
            wish = {"book_id": book, "quantity": 1}
            answer = self.http.post(f"{self.orders}/v1/orders", json=wish, headers=key)
            if answer.status_code == 201:
                return answer.json()["id"]
            assert answer.status_code == 503, answer.text
            assert monotonic() < until
            sleep(float(answer.headers["retry-after"]))

    @contextmanager
    def under_load(self, book, most=200):
        """Orders come in while the block runs; gives the list of those that were taken."""
        taken, stop = [], monotonic() + PATIENCE
        ended = False

        def buy():
            while not ended and monotonic() < stop and len(taken) < most:
                taken.append(self.order(book))
                sleep(0.02)

        with ThreadPoolExecutor(2) as pool:
            buyers = [pool.submit(buy) for _ in range(2)]
            try:
                yield taken
            finally:
                ended = True
            for buyer in buyers:
                buyer.result()

    def ask(self, query, *parameters):
        """Ask the orders' database."""
        with psycopg.connect(self.orders_database) as connection:
            return connection.execute(query, parameters).fetchall()

    def pause(self):
        """Have the worker begin nothing new."""
        self.http.post(f"{self.orders}/v1/queue/pause").raise_for_status()

    def resume(self):
        """Have it go on."""
        self.http.post(f"{self.orders}/v1/queue/resume").raise_for_status()

    def effects(self):
        """What the supplier did, by order."""
        told = self.http.get(f"{self.supplier}/effects").raise_for_status().json()["orders"]
        return {int(order): each["effects"] for order, each in told.items()}

    def has_done(self, ids):
        """Wait until these orders are final: none lost, each done once, each state entered once."""
        eventually(lambda: self._finished(ids))
        done = self.effects()
        assert {order: done.get(order, 0) for order in ids} == dict.fromkeys(ids, 1)
        states = "SELECT count(*) FROM order_events WHERE order_id = ANY(%s) AND to_state <> 'Processing'"
        assert self.ask(states, list(ids)) == [(len(ids),)]

    def _finished(self, ids):
        rows = self.ask("SELECT count(*) FROM orders WHERE id = ANY(%s) AND status = 'Validated'", list(ids))
        return rows == [(len(ids),)]


@contextmanager
def _running(redis_url, books_database, orders_database, *, effects="", direct=None, accounts=None, **worker):
    """A shop; `direct` maps a pooler's URLs to those past it, `worker` are settings of the worker.

    `accounts` is where tokens come from; without it, whoever orders is nobody.
    """
    door = free_port()
    shared = {"port": 0, "access_log": False}
    direct = direct or {}

    def database(url):
        return {**shared, "database_url": url, "database_direct_url": direct.get(url, "")}

    with ExitStack() as stack:

        def run(create, settings):
            return stack.enter_context(serving(patient(lambda: create(settings))))

        supplier = run(create_supplier, SupplierSettings(port=door, access_log=False, effects_file=effects))
        known = {"redis_url": redis_url}
        books = run(create_books, BooksSettings(**database(books_database), **known))
        known["books_service_url"] = books
        if accounts:
            known["accounts_service_url"] = accounts
        orders = run(create_orders, OrdersSettings(**database(orders_database), **known))
        known["supplier_service_url"] = f"http://127.0.0.1:{door}"
        working = run(create_worker, WorkerSettings(**database(orders_database), **known, **worker))
        shop = Shop(direct.get(orders_database, orders_database), (books, orders, working, supplier))
        stack.enter_context(shop.http)
        for url in (books, orders, working):
            eventually(lambda url=url: shop.http.get(f"{url}/health/ready").status_code == 200)
        yield shop


@pytest.fixture(scope="session")
def running():
    return _running


@pytest.fixture
def whole_system(private_bookstore, client, eventually):
    """Starts everything with `bookstore up` on stores of ours; gives it when somebody has bought."""

    def start(**urls):
        private_bookstore.settings |= urls
        examined = private_bookstore.run("doctor")
        assert examined.returncode == 0, examined.stdout
        for variable, url in urls.items():
            assert f"{variable}: {url.partition('://')[0]}://" in examined.stdout
            assert url not in examined.stdout
        private_bookstore.up()
        door = private_bookstore.url("gateway-1")
        somebody = {"email": "ana@example.com", "password": "a long enough secret"}
        client.post(f"{door}/auth/register", json={**somebody, "name": "Ana"}).raise_for_status()
        token = client.post(f"{door}/auth/login", json=somebody).json()["access_token"]
        wish = {"json": {"book_id": 1, "quantity": 1}, "headers": {"Authorization": f"Bearer {token}"}}
        order = client.post(f"{door}/v1/orders", **wish).raise_for_status().json()["id"]
        place = f"{door}/v1/orders/{order}"
        eventually(lambda: client.get(place, headers=wish["headers"]).json()["status"] == "Validated")
        eventually(lambda: {*_seen(private_bookstore, client).values()} == {"HEALTHY"})
        rows = private_bookstore.services()
        assert all(row["health"] == "healthy" for row in rows.values())
        for store in ("postgres", "redis"):
            outside = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}[store] in urls
            assert (rows[store]["pid"] is None) == outside
        return private_bookstore

    return start


def _seen(bookstore, client):
    """What the monitor thinks of each; nothing as long as it hasn't seen all."""
    told = (
        client.get(f"{bookstore.url('monitor-1')}/health_status").json().get("services", {"": {"status": ""}})
    )
    return {name: each["status"] for name, each in told.items()}
