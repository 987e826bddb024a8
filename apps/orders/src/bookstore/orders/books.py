"""What orders asks of the books service: titles and prices, and copies to hold."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from math import ceil
from typing import ParamSpec, TypeVar

import msgspec

from bookstore.contracts.problems import NAMESPACE
from bookstore.contracts.values import Price, Text, decoder
from bookstore.orders.model import Book
from bookstore.orders.pipelines import BooksPipelines
from bookstore.resilience import Pipeline, Rejected, TimedOut
from bookstore.service.problem import RETRY_AFTER, Problem, not_found
from bookstore.service.upstream import Answer, Header, Upstream, UpstreamError

P = ParamSpec("P")
T = TypeVar("T")

_OK, _CREATED, _MISSING, _CONFLICT = 200, 201, 404, 409
_JSON = (b"content-type", b"application/json")
_TOO_FEW = NAMESPACE + "insufficient-stock"


class _Book(msgspec.Struct, frozen=True):
    """What orders reads of a book in /v1; whatever else books may tell one day is passed over."""

    id: int
    title: Text
    author: Text
    price: Price


class _Stock(msgspec.Struct, frozen=True):
    book_id: int
    quantity: int


class _Refusal(msgspec.Struct, frozen=True):
    type: str
    detail: Text


_book = decoder(_Book).decode
_stock = decoder(_Stock).decode
_refusal = decoder(_Refusal).decode
_NONSENSE = (ValueError, RecursionError)
"""What decoding raises: bad JSON, bad UTF-8 and bad values are all ValueErrors."""


class BooksUnavailable(Problem):
    """Books is away, slow, or answers nonsense: a price is never guessed, so there is no order."""

    def __init__(self, retry_after: float | None = None) -> None:
        wait = max(RETRY_AFTER, ceil(retry_after or 0))
        super().__init__(
            503,
            "books-unavailable",
            "the books service is not answering; nothing was ordered",
            headers={"Retry-After": str(wait)},
        )


class TooFew(Problem):
    """Books has fewer copies than are wanted."""

    def __init__(self, detail: str) -> None:
        super().__init__(409, "insufficient-stock", detail)


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

    async def lookup(self, book_ids: Iterable[int]) -> dict[int, Book]:
        """All of these books as they are now, asked for side by side; the first that fails decides.

        Raises:
            Problem: 404 if one of them isn't on sale.
            BooksUnavailable: if books can't say.
        """
        return await _guarded(self._pipelines.prices, self._lookup, list(book_ids))

    async def reserve(self, reservation_id: str, wanted: Mapping[int, int]) -> None:
        """Hold copies under this name; asking again with the same name holds nothing more.

        Raises:
            TooFew: if there are too few; nothing is held then.
            Problem: 404 if a book isn't on sale.
            BooksUnavailable: if books can't say; it may then hold them, or not.
        """
        await _guarded(self._pipelines.reservations, self._reserve, reservation_id, wanted)

    async def release(self, reservation_id: str) -> None:
        """Let go of what is held under this name; nothing can be held under it any more.

        Raises:
            BooksUnavailable: if books didn't confirm.
        """
        await _guarded(self._pipelines.reservations, self._release, reservation_id)

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
        if self._pipelines.breaker.state in {"open", "forced_open"}:
            raise BooksUnavailable
        answer = await self._upstream.request("GET", "/health/live", timeout=0.8)
        if answer.status != _OK:
            raise BooksUnavailable

    async def _lookup(self, book_ids: list[int]) -> dict[int, Book]:
        if len(book_ids) == 1:
            return {book_ids[0]: await self._book(book_ids[0])}
        try:
            async with asyncio.TaskGroup() as group:
                asked = {book_id: group.create_task(self._book(book_id)) for book_id in book_ids}
        except ExceptionGroup as errors:
            raise _decisive(errors) from errors
        return {book_id: task.result() for book_id, task in asked.items()}

    async def _book(self, book_id: int) -> Book:
        # /v1 is never answered from a cache.
        answer = await self._upstream.request("GET", f"/v1/books/{book_id}")
        if answer.status == _MISSING:
            raise not_found("book", book_id)
        if answer.status == _OK:
            found = _read(_book, answer)
            if found.id == book_id:
                return Book(title=str(found.title), author=str(found.author), price=Decimal(found.price))
        raise BooksUnavailable

    async def _reserve(self, reservation_id: str, wanted: Mapping[int, int]) -> None:
        items = [{"book_id": book_id, "quantity": quantity} for book_id, quantity in wanted.items()]
        answer = await self._upstream.request(
            "PUT",
            f"/inventory/reservations/{reservation_id}",
            headers=[*self._identity, _JSON],
            body=msgspec.json.encode({"items": items}),
        )
        if answer.status in {_OK, _CREATED}:
            return
        if answer.status == _MISSING:
            raise Problem(404, "not-found", "one of these books is not on sale any more")
        if answer.status == _CONFLICT:
            refusal = _read(_refusal, answer)
            if refusal.type == _TOO_FEW:
                raise TooFew(str(refusal.detail))
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
    except _NONSENSE as error:
        raise BooksUnavailable from error


def _decisive(errors: ExceptionGroup[Exception]) -> Exception:
    """What to tell of; "try again" goes before "no such book", which then may not be the last word."""
    return max(
        errors.exceptions, key=lambda error: error.status if isinstance(error, Problem) else _CANNOT_SAY
    )


_CANNOT_SAY = 503
