"""What orders asks of the books service: a book's title, author and price, now."""

import asyncio
from collections.abc import Iterable

import msgspec

from bookstore.orders.model import Book
from bookstore.service.problem import Problem, not_found
from bookstore.service.upstream import Upstream, UpstreamError

_FOUND, _MISSING = 200, 404
_decode = msgspec.json.Decoder(Book).decode


class BooksUnavailable(Problem):
    """Books is away, slow, or answers nonsense: a price is never guessed, so there is no order."""

    def __init__(self) -> None:
        super().__init__(503, "books-unavailable", "the books service is not answering; nothing was ordered")


class Catalogue:
    """The books service, as orders sees it."""

    def __init__(self, books: Upstream) -> None:
        self._books = books

    async def lookup(self, book_ids: Iterable[int]) -> dict[int, Book]:
        """All of these books, asked for side by side.

        Raises:
            Problem: 404 if one of them isn't on sale.
            BooksUnavailable: if books can't say.
        """
        try:
            async with asyncio.TaskGroup() as group:
                asked = {book_id: group.create_task(self._book(book_id)) for book_id in book_ids}
        except* Problem as errors:
            raise _first(errors) from None
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
                return _decode(answer.body)
        except (UpstreamError, msgspec.DecodeError) as error:
            raise BooksUnavailable from error
        raise BooksUnavailable


def _first(errors: BaseExceptionGroup[Problem]) -> Problem:
    """One problem to tell of; "try again" goes before "no such book", which then may not be the last word."""
    problems = [error for error in errors.exceptions if isinstance(error, Problem)]
    return max(problems, key=lambda problem: problem.status)
