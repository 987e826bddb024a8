"""Rules of orders, without I/O."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from bookstore.contracts.orders import MAX_QUANTITY, Line, NewLine, State
from bookstore.orders.idempotency.model import Claim
from bookstore.service.problem import invalid_field


class Book(msgspec.Struct, frozen=True):
    """What an order keeps of a book: as it stands in the catalogue now."""

    title: str
    author: str
    price: Decimal


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its lines."""

    id: int
    customer_id: int | None
    status: State
    items: list[Line]
    total_price: Decimal
    created_at: datetime
    updated_at: datetime
    job_id: int


class Receipt(msgspec.Struct, frozen=True):
    """What the caller of a new order is told, to be kept under the caller's Idempotency-Key."""

    claim: Claim
    answer: Callable[[Order], bytes]


class NewOrder(msgspec.Struct, eq=False):
    """An order that is to be kept. Two that look alike are two."""

    items: Sequence[Line]
    customer_id: int | None
    reservation_id: str | None = None
    traceparent: str | None = None
    receipt: Receipt | None = None
    wanted: bool = True
    """Whether somebody still waits for it."""


def summed(lines: Iterable[NewLine], path: str) -> dict[int, int]:
    """How many of each book: lines of the same book are one, in the order in which books first appear.

    Raises:
        Problem: if that is more of one book than an order may have.
    """
    wanted: dict[int, int] = {}
    for line in lines:
        wanted[line.book_id] = wanted.get(line.book_id, 0) + line.quantity
    for book_id, quantity in wanted.items():
        if quantity > MAX_QUANTITY:
            message = f"at most {MAX_QUANTITY} of book {book_id}, not {quantity}"
            raise invalid_field(path, "quantity", message)
    return wanted


def priced(wanted: Mapping[int, int], books: Mapping[int, Book]) -> list[Line]:
    """The lines of an order, each with the book as it is now."""
    return [
        Line(
            book_id=book_id,
            book_title=books[book_id].title,
            book_author=books[book_id].author,
            quantity=quantity,
            unit_price=books[book_id].price,
            total_price=books[book_id].price * quantity,
        )
        for book_id, quantity in wanted.items()
    ]


def total(lines: Sequence[Line]) -> Decimal:
    """What an order costs, exactly."""
    return sum((line.total_price for line in lines), Decimal("0.00"))
