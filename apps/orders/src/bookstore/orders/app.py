"""The orders service put together."""

from contextlib import aclosing, nullcontext
from functools import partial
from importlib.metadata import version
from math import inf

from prometheus_client import CollectorRegistry, Gauge

from bookstore.orders import api
from bookstore.orders.books import Books
from bookstore.orders.events import api as events_api
from bookstore.orders.events.feed import Feed
from bookstore.orders.events.store import EventStore
from bookstore.orders.express import Express
from bookstore.orders.idempotency.store import KeyStore
from bookstore.orders.idempotency.sweep import sweeping
from bookstore.orders.pipelines import ANSWER, BooksPipelines, onward
from bookstore.orders.placing import Placing
from bookstore.orders.promise import promising
from bookstore.orders.queue import api as queue_api
from bookstore.orders.queue.backlog import Backlog
from bookstore.orders.queue.desk import Desk
from bookstore.orders.settings import OrdersSettings
from bookstore.orders.stock import api as stock_api
from bookstore.orders.stock.desk import StockDesk
from bookstore.orders.stock.memory import KEYS, StockMemory
from bookstore.orders.store import OrderStore
from bookstore.orders.waves import Waves
from bookstore.resilience.collector import DependencyMetrics
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.redis import connect
from bookstore.service.redis_home import Home
from bookstore.service.schema import Schema
from bookstore.service.shortcut import refusing
from bookstore.service.tokens import RemoteKeys, access_with, service_headers
from bookstore.service.tracing import span_events
from bookstore.service.upstream import Upstream

_REDIS_PATIENCE = 0.15


def create_app(settings: OrdersSettings) -> Service:
    """The orders service with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    database = Database(
        settings.database_url, direct_url=settings.database_direct_url, size=settings.database_connections
    )
    schema = Schema(database, "bookstore.orders")
    orders = OrderStore(database)
    idempotency = KeyStore(database, kept=settings.idempotency_kept)
    events = EventStore(database)
    feed = Feed(events.changes, most=settings.event_streams)

    numbers = CollectorRegistry()
    calls = DependencyMetrics(numbers, prefix="bookstore")
    pipelines = BooksPipelines(settings, sinks=[calls, span_events])
    upstream = Upstream(
        settings.books_service_url,
        timeout=settings.books_timeout,
        idle_timeout=settings.books_timeout,
        context=onward,
    )
    books = Books(upstream, pipelines, identity=service_headers(settings))
    backlog = Backlog(database, numbers, most=settings.orders_max_unfinished)
    waves = Waves(books, orders, patience=settings.books_timeout)
    placing = Placing(waves, idempotency, backlog.admits)
    redis = connect(Home(settings.redis_url, KEYS), patience=_REDIS_PATIENCE) if settings.redis_url else None
    memory = StockMemory(redis, sinks=[calls, span_events])
    calls.watch("books", *pipelines.all)
    calls.watch("redis", memory.pipeline)

    access = access_with(settings, keys)
    service = Service(
        "orders",
        version("bookstore-orders"),
        settings,
        handlers=[*api.handlers, *events_api.handlers, *stock_api.handlers, *queue_api.handlers],
        provide={
            "orders": orders,
            "placing": placing,
            "events": events,
            "feed": feed,
            "stock": StockDesk(books, memory, numbers),
            "desk": Desk(database),
        },
        dependencies=[
            Dependency("database", schema.check),
            Dependency("books", books.check, required=False),
        ],
        lifespan=[
            lambda: keys,
            lambda: aclosing(redis) if redis else nullcontext(),
            lambda: database,
            lambda: upstream,
            schema.preparing,
            lambda: sweeping(idempotency),
            backlog.counting,
            lambda: feed,
            lambda: waves,
            lambda: placing,
        ],
        access=access,
        front=promising(ANSWER),
        queue=backlog.health,
        circuits=lambda: calls.breakers,
        own_server=True,
        shortcuts=api.shortcuts,
    )
    service.express = Express(
        waves,
        backlog.admits,
        access,
        service.asgi,
        partial(refusing, service.router),
        most=settings.max_body or inf,
    )
    service.metrics.registry.register(numbers)
    watched = Gauge("bookstore_watched_orders", "Event streams open.", registry=service.metrics.registry)
    watched.set_function(lambda: feed.watching)
    return service
