"""Copies for orders that arrive together are asked for together: one call, and one commit at books.

Each order has its own reservation, and its own outcome. What one can't have is no matter of another's; only
what keeps books from answering at all is. A call takes no longer than the last of its orders waits.
"""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil

import msgspec

from bookstore.contracts.problems import NAMESPACE
from bookstore.contracts.values import Price, Text, decoder
from bookstore.orders.model import Book
from bookstore.resilience.deadline import current_deadline, forget_deadline
from bookstore.service.batch import Batch
from bookstore.service.problem import RETRY_AFTER, Problem
from bookstore.service.upstream import Header, Upstream

NONSENSE = (ValueError, RecursionError)
"""What decoding raises: bad JSON, bad UTF-8 and bad values are all ValueErrors."""

_OK, _MISSING, _CONFLICT = 200, 404, 409
_PATH = "/inventory/reservations"
_TOO_FEW = NAMESPACE + "insufficient-stock"
_LINGER = 0.003
"""Seconds that a call right after another waits for more orders: it costs as much as seven of them."""
_MOST = 100
"""Reservations in a call."""
_SPARE = 0.1
"""Seconds that a call goes on after the last of its orders was told that it took too long."""


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


class _Asked(msgspec.Struct, eq=False):
    """Copies that an order wants. Two that look alike are two."""

    reservation_id: str
    wanted: Mapping[int, int]
    until: float
    """When nobody waits for it any more, in the loop's time."""


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
    books: list[_Book] = []
    refusal: _Refusal | None = None


_encode = msgspec.json.Encoder().encode
_answer = msgspec.json.Decoder(_Answer).decode
_outcome = decoder(_Outcome).decode


class Holding:
    """Asks books to hold copies.

    Args:
        upstream: Where books answers.
        identity: The headers with which orders comes as itself.
    """

    def __init__(self, upstream: Upstream, identity: Sequence[Header]) -> None:
        self._upstream = upstream
        self._headers = [*identity, (b"content-type", b"application/json")]
        self._calls = Batch(self._call, width=1, most=_MOST, patience=2 * upstream.timeout, linger=_LINGER)

    async def hold(self, reservation_id: str, wanted: Mapping[int, int]) -> Mapping[int, Book]:
        """Hold copies under this name, and tell their books.

        Raises:
            Problem: 409 if there are too few, 404 if a book isn't on sale; nothing is held then.
            BooksUnavailable: if the answer says nothing; they may then be held, or not.
            UpstreamError: likewise, if there is none.
        """
        now = asyncio.get_running_loop().time()
        deadline = current_deadline()
        left = min(self._upstream.timeout, deadline.remaining()) if deadline else self._upstream.timeout
        asked = _Asked(reservation_id, wanted, now + left)
        try:
            outcome = await self._calls.load(asked)
        finally:
            asked.until = now  # nobody waits for it any more: if it isn't on its way yet, it needn't go
        if isinstance(outcome, Problem):
            raise outcome
        if outcome is None:
            raise BooksUnavailable
        return outcome

    async def _call(self, waiting: Sequence[_Asked]) -> dict[_Asked, Mapping[int, Book] | Problem]:
        forget_deadline()  # it is that of the first of them only
        now = asyncio.get_running_loop().time()
        asked = [each for each in waiting if each.until > now]
        if not asked:
            return {}
        left = max(each.until for each in asked) - now
        question = _Question(
            [_Wanted(each.reservation_id, [_Item(*item) for item in each.wanted.items()]) for each in asked]
        )
        headers = [*self._headers, (b"x-deadline-ms", b"%d" % (left * 1000))]
        async with asyncio.timeout(left + _SPARE):
            answer = await self._upstream.request(
                "POST", _PATH, headers=headers, body=_encode(question), timeout=left + _SPARE
            )
        if answer.status != _OK:
            raise BooksUnavailable
        try:
            outcomes = _answer(answer.body).data
            return {each: _told(each, raw) for each, raw in zip(asked, outcomes, strict=True)}
        except NONSENSE as error:
            raise BooksUnavailable from error


def _told(asked: _Asked, raw: msgspec.Raw) -> Mapping[int, Book] | Problem:
    """What became of one reservation, or that nobody can tell."""
    try:
        outcome = _outcome(raw)
    except NONSENSE:
        return BooksUnavailable()
    if outcome.reservation_id != asked.reservation_id:
        return BooksUnavailable()
    refusal = outcome.refusal
    if refusal is None:
        books = {
            book.book_id: Book(title=str(book.title), author=str(book.author), price=Decimal(book.price))
            for book in outcome.books
        }
        return books if books.keys() == asked.wanted.keys() else BooksUnavailable()
    if refusal.status == _MISSING:
        return Problem(404, "not-found", str(refusal.detail))
    if refusal.status == _CONFLICT and refusal.type == _TOO_FEW:
        return Problem(409, "insufficient-stock", str(refusal.detail))
    return BooksUnavailable()
