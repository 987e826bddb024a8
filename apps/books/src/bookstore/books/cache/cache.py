"""The cache as the catalogue sees it, and how it is without one."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from bookstore.books.cache.entry import Entry, Place
from bookstore.service.health import Dependency

Make: TypeAlias = Callable[[], Awaitable[Entry]]


@dataclass
class Counts:
    """What came of reads, since the process began."""

    hits: int = 0
    misses: int = 0
    bypasses: int = 0
    """Reads that went to PostgreSQL because the cache was away or closed."""


@dataclass(frozen=True)
class Kept:
    """An entry as an operator sees it."""

    key: str
    ttl_seconds: float
    size_bytes: int


@dataclass
class Tally:
    """All that is counted."""

    book: Counts = field(default_factory=Counts)
    page: Counts = field(default_factory=Counts)
    removals: int = 0
    closings: int = 0
    """Writes that Redis couldn't be told of, so that the cache was closed instead."""

    def of(self, place: Place) -> Counts:
        """The counts of reads of this kind."""
        return self.page if place.name else self.book


class Cache(Protocol):
    """Keeps answers; `read` gives them."""

    tally: Tally

    async def hit(self, place: Place) -> Entry | None:
        """What is kept there, if it may be used."""
        ...

    async def read(self, place: Place, make: Make) -> tuple[Entry, bool]:
        """What is kept there, else what `make` makes; and whether it was kept."""
        ...

    def changing(self, book_ids: Iterable[int]) -> AbstractAsyncContextManager[None]:
        """Hold this open round a write of these books, its commit included; without any, of a new book."""
        ...

    async def changed(self, book_ids: Iterable[int]) -> None:
        """To be awaited after a write's commit and before its answer."""
        ...

    async def contents(self) -> list[Kept]:
        """What is kept now, a thousand entries at most."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """To be held open while it is used."""
        ...

    def dependencies(self) -> list[Dependency]:
        """What it needs, for health."""
        ...


class Uncached:
    """No cache: every read is made afresh."""

    def __init__(self) -> None:
        self.tally = Tally()

    async def hit(self, place: Place) -> Entry | None:
        """Nothing."""
        del place

    async def read(self, place: Place, make: Make) -> tuple[Entry, bool]:
        """What `make` makes."""
        del place
        return await make(), False

    def changing(self, book_ids: Iterable[int]) -> AbstractAsyncContextManager[None]:
        """Nothing to do."""
        del book_ids
        return nullcontext()

    async def changed(self, book_ids: Iterable[int]) -> None:
        """Nothing to do."""

    async def contents(self) -> list[Kept]:
        """Nothing."""
        return []

    def running(self) -> AbstractAsyncContextManager[None]:
        """Nothing to do."""
        return nullcontext()

    def dependencies(self) -> list[Dependency]:
        """Nothing."""
        return []
