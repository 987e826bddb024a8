"""What the books service can be told."""

from typing import Annotated

from msgspec import Meta

from bookstore.service.settings import Port, PostgresUrl, RedisUrl
from bookstore.service.tokens import TokenSettings


class BooksSettings(TokenSettings, frozen=True, kw_only=True):
    """Settings of the books service."""

    port: Port = 8001
    database_url: PostgresUrl
    """Its own database; `BOOKS_DB_DSN` is taken as well."""
    database_connections: Annotated[int, Meta(ge=1, le=100)] = 8
    redis_url: RedisUrl | None = None
    """Where answers are kept for all replicas; without it nothing is."""
    cache_ttl: Annotated[int, Meta(ge=1, le=86_400)] = 60
    """Seconds for which an answer is kept at most."""
    seed_catalogue: bool = False
    """Whether an empty catalogue is filled with some 200 books."""
    default_stock: Annotated[int, Meta(ge=0)] = 100
    """Copies on hand of a new book whose request doesn't say."""


ALIASES = {"BOOKS_DB_DSN": "DATABASE_URL"}
