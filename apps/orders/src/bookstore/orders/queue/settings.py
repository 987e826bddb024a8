"""What the worker can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import DirectUrl, HttpUrl, Port, PostgresUrl, RedisUrl, Seconds
from bookstore.service.tokens import TokenSettings

ALIASES = {"WORKER_PORT": "PORT"}

_Count = Annotated[int, Meta(ge=1, le=1000)]


class WorkerSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the orders worker."""

    port: Port = 9100
    """Where metrics and health are."""
    drain_announce: Seconds = 0.0
    drain_finish: Seconds = 8.0
    """Seconds that jobs in hand may go on after SIGTERM."""
    database_url: Annotated[
        PostgresUrl, Meta(examples=["postgresql://orders_user:password@localhost:5432/orders_db"])
    ]
    """The orders service's database."""
    database_direct_url: DirectUrl = ""
    """Its address past the pooler, if `DATABASE_URL` leads to a pooler in transaction mode."""
    database_connections: Annotated[int, Meta(ge=2, le=100)] = 8
    """The most connections to keep."""
    redis_url: Annotated[RedisUrl, Meta(examples=["redis://localhost:6379/0"])]
    """The doorbell."""
    books_service_url: Annotated[HttpUrl, Meta(examples=["http://localhost:8001"])]
    """Where books settles reservations."""
    supplier_service_url: Annotated[HttpUrl, Meta(examples=["http://localhost:5003"])]
    """Who validates orders."""
    supplier_timeout: Annotated[float, Meta(gt=0, le=300)] = 6.0
    """Seconds for one call; a supplier that takes five is slow, and not away."""
    books_timeout: Annotated[float, Meta(gt=0, le=30)] = 2.0
    """Seconds for one call; nobody waits for it."""
    worker_concurrency: _Count = 64
    """Orders that are validated at the same time; stock is settled half as many at a time."""
    worker_lease: Annotated[float, Meta(gt=0, le=3600)] = 15.0
    """Seconds after which another worker takes over the jobs of one that isn't heard of."""
    ledger_republish: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """Seconds after which the bell is rung again for a job that nobody took."""
    validation_deadline: Annotated[float, Meta(gt=0, le=31_536_000)] = 3600.0
    """Seconds after which an order that the supplier has not validated becomes Failed."""
    max_claims: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Claims without any outcome after which a job is dead, and its order Failed."""
