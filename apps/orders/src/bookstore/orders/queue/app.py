"""The worker put together."""

import platform
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry

from bookstore.orders.queue.backlog import Backlog
from bookstore.orders.queue.doorbell import Doorbell
from bookstore.orders.queue.lane import Lane, Work
from bookstore.orders.queue.ledger import Ledger
from bookstore.orders.queue.link import Link
from bookstore.orders.queue.metrics import WorkerMetrics
from bookstore.orders.queue.model import STREAMS, Job, Kind, Outcome
from bookstore.orders.queue.reconciliation import Reconciliation
from bookstore.orders.queue.relay import Relay
from bookstore.orders.queue.settings import WorkerSettings
from bookstore.orders.queue.settlement import Stock
from bookstore.orders.queue.supplier import Supplier
from bookstore.orders.queue.worker import Round, Worker
from bookstore.resilience.collector import DependencyMetrics
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.health import Dependency
from bookstore.service.schema import Schema
from bookstore.service.tokens import RemoteKeys, access_with, service_headers
from bookstore.service.tracing import span_events
from bookstore.service.upstream import Upstream

NAME = "orders-worker"
_LATE_EVERY = 1.0
_RECONCILE_EVERY = 5.0


def create_app(settings: WorkerSettings) -> Service:
    """The worker with these settings; nothing is opened yet."""
    keys = RemoteKeys(settings.accounts_service_url, at_start=settings.auth_required)
    database = Database(
        settings.database_url, direct_url=settings.database_direct_url, size=settings.database_connections
    )
    schema = Schema(database, "bookstore.orders")
    numbers = CollectorRegistry()
    metrics = WorkerMetrics(numbers)
    backlog = Backlog(database, numbers)
    calls = DependencyMetrics(numbers, prefix="bookstore")

    many, few = settings.worker_concurrency, max(1, settings.worker_concurrency // 2)
    supplier_at, supplier_link = _link(
        "supplier", settings.supplier_service_url, many, settings.supplier_timeout, calls
    )
    books_at, books_link = _link("books", settings.books_service_url, few, settings.books_timeout, calls)
    stock = Stock(books_link, service_headers(settings))
    ledger = Ledger(database)
    rounds: dict[str, Round] = {
        "deadline": _each(_LATE_EVERY, lambda: ledger.expire(settings.validation_deadline)),
        "reconciliation": _each(_RECONCILE_EVERY, Reconciliation(database, stock).round),
    }
    does: dict[Kind, tuple[Work, Link]] = {
        "validate": (_validation(Supplier(supplier_link), stock), supplier_link),
        "settle": (stock.settle, books_link),
    }
    # A name for this life of the process alone: another life's entries are another consumer's.
    consumer = f"{settings.instance or platform.node()}-{secrets.token_hex(4)}"
    doorbells = {kind: Doorbell(settings.redis_url, stream, consumer) for kind, stream in STREAMS.items()}
    lanes: dict[str, Lane] = {}
    for kind, (work, through) in does.items():
        relay = Relay(kind, ledger, doorbells[kind], metrics, republish=settings.ledger_republish)
        rounds[f"{kind}.relay"] = relay.round
        lanes[kind] = Lane(
            kind,
            ledger,
            doorbells[kind],
            metrics,
            work=work,
            room=through.room,
            lease=settings.worker_lease,
            most_claims=settings.max_claims,
        )
    worker = Worker(lanes, rounds)

    service = Service(
        NAME,
        version("bookstore-orders"),
        settings,
        dependencies=[
            Dependency("database", schema.check),
            Dependency("redis", doorbells["validate"].check, required=False),
            Dependency("supplier", supplier_link.check, required=False),
            Dependency("books", books_link.check, required=False),
        ],
        lifespan=[
            lambda: keys,
            lambda: database,
            lambda: supplier_at,
            lambda: books_at,
            *(partial(aclosing, bell) for bell in doorbells.values()),
            backlog.counting,
            lambda: _working(worker, schema, settings.drain_finish),
        ],
        access=access_with(settings, keys),
        alive=worker.alive,
        queue=backlog.health,
        circuits=lambda: calls.breakers,
    )
    service.metrics.registry.register(numbers)
    return service


def _link(
    name: str, url: str, concurrency: int, timeout: float, calls: DependencyMetrics
) -> tuple[Upstream, Link]:
    """Another service: where it answers, and the way there with all its limits."""
    # The pipeline's own limit comes first: a try that runs into it is one that the circuit learns of.
    upstream = Upstream(url, timeout=timeout * 2, idle_timeout=timeout * 2, max_connections=concurrency)
    link = Link(name, upstream, concurrency=concurrency, timeout=timeout, sinks=[calls, span_events])
    calls.watch(name, link.pipeline)
    return upstream, link


def _validation(supplier: Supplier, stock: Stock) -> Work:
    async def validate(job: Job) -> Outcome:
        # Whose stock was given back when its order failed gets some again before anybody is asked.
        obstacle = await stock.hold(job) if job.reserve else None
        return obstacle or await supplier.validate(job)

    return validate


def _each(seconds: float, do: Callable[[], Coroutine[Any, Any, object]]) -> Round:
    """A round that comes every so many seconds."""

    async def turn() -> float:
        await do()
        return seconds

    return turn


@asynccontextmanager
async def _working(worker: Worker, schema: Schema, patience: float) -> AsyncGenerator[None]:
    """Work from the moment that the schema is ready, and leave in good order."""

    async def start() -> None:
        worker.start()

    async with schema.preparing(start):
        yield
        await worker.leave(patience)
