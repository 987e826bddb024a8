"""What the orders service can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import DirectUrl, HttpUrl, Port, PostgresUrl, RedisUrl
from bookstore.service.tokens import TokenSettings


class OrdersSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the orders service."""

    port: Port = 8082
    database_url: Annotated[
        PostgresUrl, Meta(examples=["postgresql://orders_user:password@localhost:5432/orders_db"])
    ]
    """Its own database."""
    database_direct_url: DirectUrl = ""
    """Its address past the pooler, if `DATABASE_URL` leads to a pooler in transaction mode."""
    database_connections: Annotated[int, Meta(ge=1, le=100)] = 8
    """The most connections to keep."""
    books_service_url: Annotated[HttpUrl, Meta(examples=["http://localhost:8001"])]
    """Where the books service answers."""
    books_timeout: Annotated[float, Meta(gt=0, le=30)] = 1.0
    """Seconds that books has to hold an order's copies; an order is answered within two in all."""
    books_circuit_open: Annotated[float, Meta(gt=0, le=3600)] = 2.0
    """Seconds for which books isn't called after five failures in a row."""
    redis_url: RedisUrl | None = None
    """Where the last known stock is kept, for when books is away; without it that isn't done."""
    idempotency_kept: Annotated[float, Meta(ge=1, le=31_536_000)] = 86_400.0
    """Seconds for which an answer is given again under its Idempotency-Key."""
    event_streams: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    """How many may watch orders at a time."""
    orders_max_unfinished: Annotated[int, Meta(ge=1, le=100_000_000)] = 100_000
    """How many orders may wait for their validation; beyond that new ones are refused."""
