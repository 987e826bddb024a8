"""Rules of stock, without I/O."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import msgspec

from bookstore.contracts.books import ReservationState
from bookstore.contracts.orders import MAX_QUANTITY, NewLine

Quantities = Mapping[int, int]
"""How many copies of each book, by its id in rising order."""

_RESERVATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Stock(msgspec.Struct, frozen=True):
    """The copies of one book."""

    book_id: int
    on_hand: int
    reserved: int

    @property
    def free(self) -> int:
        """What can be sold."""
        return self.on_hand - self.reserved


class Held(msgspec.Struct, frozen=True):
    """A reservation: held until it is settled, once, by a commit or a release."""

    id: str
    state: ReservationState
    created_at: datetime
    quantities: Quantities


class UnknownBooks(Exception):
    """Some of the books don't exist, or are off sale."""

    def __init__(self, books: Collection[int]) -> None:
        super().__init__(", ".join(map(str, books)))


class InsufficientStock(Exception):
    """There are too few copies of some of the books."""

    def __init__(self, short: Mapping[int, tuple[int, int]]) -> None:
        told = (f"{free} of {asked} of book {book_id}" for book_id, (asked, free) in short.items())
        super().__init__(", ".join(told))


class Reserved(Exception):
    """There are more copies reserved than there would be on hand."""

    def __init__(self, reserved: int) -> None:
        super().__init__(f"{reserved} copies are reserved")


def is_reservation_id(text: str) -> bool:
    """Whether a reservation can go by that name."""
    return _RESERVATION_ID.fullmatch(text) is not None


def summed(lines: Iterable[NewLine]) -> Quantities:
    """The copies that are asked for of each book; books in rising order.

    Raises:
        ValueError: if the lines of one book come to more than one order can have.
    """
    total: defaultdict[int, int] = defaultdict(int)
    for line in lines:
        total[line.book_id] += line.quantity
    for book_id, quantity in total.items():
        if quantity > MAX_QUANTITY:
            raise ValueError(f"{quantity} copies of book {book_id} in all; {MAX_QUANTITY} is the most")
    return dict(sorted(total.items()))


def check_free(asked: Quantities, free: Quantities) -> None:
    """Return if all that is asked for can be sold.

    Raises:
        UnknownBooks: a book isn't on sale.
        InsufficientStock: there are too few copies.
    """
    if unknown := [book_id for book_id in asked if book_id not in free]:
        raise UnknownBooks(unknown)
    short = {
        book_id: (quantity, free[book_id]) for book_id, quantity in asked.items() if quantity > free[book_id]
    }
    if short:
        raise InsufficientStock(short)
