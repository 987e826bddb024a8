"""What orders asks of the books service: a book's title, author and price, now."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from bookstore.contracts.values import Price, Text, decoder
from bookstore.orders.model import Book
from bookstore.service.problem import Problem, not_found
from bookstore.service.upstream import Upstream, UpstreamError

_FOUND, _MISSING = 200, 404


class _Answer(msgspec.Struct, frozen=True):
    """What orders reads of a book in /v1; whatever else books may tell one day is passed over."""

    id: int
    title: Text
    author: Text
    price: Price


_decode = decoder(_Answer).decode
_NO_BOOK = (ValueError, RecursionError)
"""What decoding raises: bad JSON, bad UTF-8 and bad values are all ValueErrors."""


class BooksUnavailable(Problem):
    """Books is away, slow, or answers nonsense: a price is never guessed, so there is no order."""

    def __init__(self) -> None:
        super().__init__(503, "books-unavailable", "the books service is not answering; nothing was ordered")


class Catalogue:
    """The books service, as orders sees it.

    Args:
        books: Where it answers.
        patience: Seconds that a whole lookup may take, from the first byte sent to the last one read.
    """

    def __init__(self, books: Upstream, *, patience: float) -> None:
        self._books = books
        self._patience = patience

    async def lookup(self, book_ids: Iterable[int]) -> dict[int, Book]:
        """All of these books, asked for side by side; the first that fails decides.

        Raises:
            Problem: 404 if one of them isn't on sale.
            BooksUnavailable: if books can't say.
        """
        try:
            # The client's own timeouts end a call that stands still; only this one ends a trickle of bytes.
            async with asyncio.timeout(self._patience), asyncio.TaskGroup() as group:
                asked = {book_id: group.create_task(self._book(book_id)) for book_id in book_ids}
        except TimeoutError as error:
            raise BooksUnavailable from error
        except ExceptionGroup as errors:
            raise _decisive(errors) from errors
        return {book_id: task.result() for book_id, task in asked.items()}

    async def check(self) -> None:
        """Return if books is up; raises otherwise."""
        answer = await self._books.request("GET", "/health/live", timeout=0.8)
        if answer.status != _FOUND:
            raise BooksUnavailable

    async def _book(self, book_id: int) -> Book:
        try:
            # /v1 is never answered from a cache.
            answer = await self._books.request("GET", f"/v1/books/{book_id}")
            if answer.status == _MISSING:
                raise not_found("book", book_id)
            if answer.status == _FOUND:
                found = _decode(answer.body)
                if found.id == book_id:
                    return Book(title=str(found.title), author=str(found.author), price=Decimal(found.price))
        except (UpstreamError, *_NO_BOOK) as error:
            raise BooksUnavailable from error
        raise BooksUnavailable


def _decisive(errors: ExceptionGroup[Exception]) -> Exception:
    """What to tell of; "try again" goes before "no such book", which then may not be the last word."""
    problems = [error for error in errors.exceptions if isinstance(error, Problem)]
    return max(problems, key=lambda problem: problem.status) if problems else errors
