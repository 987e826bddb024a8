"""What orders asks of the books service: copies to hold with what they cost, and what there is in stock."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

import msgspec

from bookstore.orders.holding import NONSENSE, Asked, BooksUnavailable, Holding, Told
from bookstore.orders.pipelines import BooksPipelines
from bookstore.resilience import Pipeline, Rejected, TimedOut
from bookstore.service.problem import not_found
from bookstore.service.upstream import Answer, Header, Upstream, UpstreamError

P = ParamSpec("P")
T = TypeVar("T")

_OK, _MISSING = 200, 404


class _Stock(msgspec.Struct, frozen=True):
    book_id: int
    quantity: int


_stock = msgspec.json.Decoder(_Stock).decode


class Books:
    """The books service, as orders sees it.

    Args:
        upstream: Where it answers.
        pipelines: The limits of each kind of call.
        identity: The headers with which orders comes as itself.
    """

    def __init__(
        self, upstream: Upstream, pipelines: BooksPipelines, *, identity: Iterable[Header] = ()
    ) -> None:
        self._upstream = upstream
        self._pipelines = pipelines
        self._identity = list(identity)
        self._holding = Holding(upstream, self._identity)

    async def hold(self, asked: Sequence[Asked], seconds: float) -> list[Told]:
        """Hold copies for several orders in one call, and tell what became of each.

        Args:
            asked: The same again holds nothing more.
            seconds: For which somebody waits for it. That they were too few teaches the circuit nothing.

        Raises:
            BooksUnavailable: if books can't say; it may then hold them, or not.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._pipelines.reservations.call(self._holding.hold, asked, seconds)
        except Rejected as error:
            raise BooksUnavailable(error.retry_after) from error
        except (UpstreamError, TimedOut, BooksUnavailable) as error:
            self._pipelines.failed(len(asked) - 1)
            raise BooksUnavailable from error
        except TimeoutError as error:
            raise BooksUnavailable from error

    def too_late(self) -> None:
        """An order has waited for its copies for longer than books may take: that is a failure of books'."""
        self._pipelines.failed(1)

    async def release(self, reservation_id: str) -> None:
        """Let go of what is held under this name; nothing can be held under it any more.

        Raises:
            BooksUnavailable: if books didn't confirm.
        """
        if self._pipelines.closed_off:
            raise BooksUnavailable
        await _guarded(self._pipelines.releases, self._release, reservation_id)

    async def stock(self, book_id: int) -> int:
        """How many copies of a book can be sold.

        Raises:
            Problem: 404 if it isn't on sale.
            BooksUnavailable: if books can't say.
        """
        return await _guarded(self._pipelines.stock, self._stock, book_id)

    async def check(self) -> None:
        """Return if books is up and its circuit lets calls through; raises otherwise.

        It asks past the circuit: a look at books' health is no call that could teach it anything.
        """
        if self._pipelines.closed_off:
            raise BooksUnavailable
        answer = await self._upstream.request("GET", "/health/live", timeout=0.8)
        if answer.status != _OK:
            raise BooksUnavailable

    async def _release(self, reservation_id: str) -> None:
        answer = await self._upstream.request(
            "POST", f"/inventory/reservations/{reservation_id}/release", headers=self._identity, body=b""
        )
        if answer.status != _OK:
            raise BooksUnavailable

    async def _stock(self, book_id: int) -> int:
        answer = await self._upstream.request("GET", f"/inventory/{book_id}", headers=self._identity)
        if answer.status == _MISSING:
            raise not_found("book", book_id)
        if answer.status == _OK:
            found = _read(_stock, answer)
            if found.book_id == book_id and found.quantity >= 0:
                return found.quantity
        raise BooksUnavailable


async def _guarded(
    pipeline: Pipeline, ask: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    """Ask through the pipeline; whatever is no answer is the one problem that callers are told."""
    try:
        return await pipeline.call(ask, *args, **kwargs)
    except Rejected as error:
        raise BooksUnavailable(error.retry_after) from error
    except (UpstreamError, TimedOut) as error:
        raise BooksUnavailable from error


def _read(decode: Callable[[bytes], T], answer: Answer) -> T:
    try:
        return decode(answer.body)
    except NONSENSE as error:
        raise BooksUnavailable from error
