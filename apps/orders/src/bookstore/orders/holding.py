"""Copies for orders that go together are asked for together: one call, and one commit at books.

Each order has its own reservation, and its own outcome. What one can't have is no matter of another's; only
what keeps books from answering at all is.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from math import ceil
from random import Random
from time import time_ns
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from bookstore.contracts.problems import NAMESPACE
from bookstore.contracts.values import Price, Text, decoder
from bookstore.orders.model import Book
from bookstore.service.problem import RETRY_AFTER, Problem
from bookstore.service.upstream import Header, Upstream

NONSENSE = (ValueError, RecursionError)
"""What decoding raises: bad JSON, bad UTF-8 and bad values are all ValueErrors."""

_OK, _MISSING, _CONFLICT = 200, 404, 409
_PATH = "/inventory/reservations"
_chance: Final = Random()  # noqa: S311 - names have to differ, not to be secret
_TOO_FEW = NAMESPACE + "insufficient-stock"


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


def new_name() -> str:
    """A name for a reservation that nobody has had: milliseconds, then chance.

    Names that are made one after the other stand side by side in an index: by chance alone each would be
    written to another page of it.
    """
    return f"{time_ns() // 1_000_000:012x}{_chance.getrandbits(80):020x}"


class Asked(msgspec.Struct, frozen=True):
    """Copies that an order wants, and the name under which they are to be held."""

    reservation_id: str
    wanted: Mapping[int, int]


Told: TypeAlias = Mapping[int, Book] | Problem
"""What became of a reservation: its books as they are now, or why nothing is held, or that nobody knows."""


class _Item(msgspec.Struct):
    book_id: int
    quantity: int


class _Wanted(msgspec.Struct):
    reservation_id: str
    items: list[_Item]


class _Question(msgspec.Struct):
    reservations: list[_Wanted]


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    """Each outcome by itself: one that can't be read is no matter of the others'."""


class _Book(msgspec.Struct):
    """What orders reads of a book; whatever else books may tell one day is passed over."""

    book_id: int
    title: Text
    author: Text
    price: Price


class _Refusal(msgspec.Struct):
    type: str
    status: int
    detail: Text


class _Outcome(msgspec.Struct):
    reservation_id: str
    books: msgspec.Raw = msgspec.Raw(b"[]")
    refusal: _Refusal | None = None


_encode = msgspec.json.Encoder().encode
_answer = msgspec.json.Decoder(_Answer).decode
_outcome = decoder(_Outcome).decode
_sold = decoder(list[_Book]).decode


class Holding:
    """Asks books to hold copies.

    Args:
        upstream: Where books answers.
        identity: The headers with which orders comes as itself.
    """

    def __init__(self, upstream: Upstream, identity: Sequence[Header]) -> None:
        self._upstream = upstream
        self._headers = [*identity, (b"content-type", b"application/json")]

    async def hold(self, asked: Sequence[Asked], seconds: float) -> list[Told]:
        """Hold copies for each of these, and tell what became of it.

        Args:
            asked: By any names; a name that holds the same already holds nothing more.
            seconds: For which somebody waits for it.

        Raises:
            BooksUnavailable: if the answer says nothing; they may then be held, or not.
            UpstreamError: likewise, if there is none.
        """
        question = _Question(
            [_Wanted(each.reservation_id, [_Item(*item) for item in each.wanted.items()]) for each in asked]
        )
        headers = [*self._headers, (b"x-deadline-ms", b"%d" % (seconds * 1000))]
        answer = await self._upstream.request(
            "POST", _PATH, headers=headers, body=_encode(question), timeout=seconds
        )
        if answer.status != _OK:
            raise BooksUnavailable
        try:
            outcomes = _answer(answer.body).data
            return [_told(each, raw) for each, raw in zip(asked, outcomes, strict=True)]
        except NONSENSE as error:
            raise BooksUnavailable from error


def _told(asked: Asked, raw: msgspec.Raw) -> Told:
    try:
        outcome = _outcome(raw)
        books = _books(bytes(outcome.books))
    except NONSENSE:
        return BooksUnavailable()
    if outcome.reservation_id != asked.reservation_id:
        return BooksUnavailable()
    refusal = outcome.refusal
    if refusal is None:
        return books if books.keys() == asked.wanted.keys() else BooksUnavailable()
    if refusal.status == _MISSING:
        return Problem(404, "not-found", str(refusal.detail))
    if refusal.status == _CONFLICT and refusal.type == _TOO_FEW:
        return Problem(409, "insufficient-stock", str(refusal.detail))
    return BooksUnavailable()


@lru_cache(4096)
def _books(told: bytes) -> Mapping[int, Book]:
    """Books as they are told of: many orders are for the same few, and each is told in the same bytes."""
    return MappingProxyType(
        {
            book.book_id: Book(title=str(book.title), author=str(book.author), price=Decimal(book.price))
            for book in _sold(told)
        }
    )
