"""Books on the wire: /v1 the walk-through, /v2 with what a store needs."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from bookstore.contracts.base import Id, Money, Page, Wire
from bookstore.contracts.values import Description, Price, Text

Stock = Annotated[int, Meta(ge=0, le=1_000_000_000, description="Copies that can be sold.")]


class BookV1(Wire, frozen=True, kw_only=True):
    """A book in /v1."""

    id: Id
    title: str
    author: str
    price: Money
    active: bool
    created_at: datetime
    updated_at: datetime


class BookV2(Wire, frozen=True, kw_only=True):
    """A book in /v2."""

    id: Id
    title: str
    author: str
    description: str | None
    price: Money
    stock: Stock
    active: bool
    created_at: datetime
    updated_at: datetime


class NewBookV1(Wire, frozen=True, kw_only=True):
    """What POST /v1/books takes."""

    title: Text
    author: Text
    price: Price


class NewBookV2(Wire, frozen=True, kw_only=True):
    """What POST /v2/books takes."""

    title: Text
    author: Text
    price: Price
    description: Description | None = None
    stock: Stock | None = None


class BookChangeV1(Wire, frozen=True, kw_only=True):
    """What PUT /v1/books/{id} takes: only what changes; null leaves a field as it is."""

    title: Text | None = None
    author: Text | None = None
    price: Price | None = None


class BookChangeV2(BookChangeV1, frozen=True, kw_only=True):
    """What PUT /v2/books/{id} takes."""

    description: Description | None = None


class BookRead(BookV2, frozen=True, kw_only=True):
    """What GET /v2/books/{id} answers: the book, and where it came from."""

    from_cache: bool
    processing_time_ms: float


class BookPage(Page, frozen=True, kw_only=True):
    """What GET /v2/books answers."""

    data: list[BookV2]
    from_cache: bool
    processing_time_ms: float


class Deleted(Wire, frozen=True, kw_only=True):
    """What DELETE of a book answers."""

    message: str


class CacheKey(Wire, frozen=True, kw_only=True):
    """One entry of the cache."""

    key: str
    ttl_seconds: float
    size_bytes: int


class CacheContents(Wire, frozen=True, kw_only=True):
    """What GET /v2/cache answers."""

    hits: int
    misses: int
    keys: list[CacheKey]
