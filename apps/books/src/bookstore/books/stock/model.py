"""Rules of stock, without I/O."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

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


class Sold(msgspec.Struct, frozen=True):
    """What an order keeps of a book, as the catalogue has it."""

    title: str
    author: str
    price: Decimal


class Taken(msgspec.Struct, frozen=True):
    """A reservation that was asked for: as it is now, whether it is new, and its books as they are now."""

    held: Held
    new: bool
    books: Mapping[int, Sold]


class UnknownBooks(Exception):
    """Some of the books don't exist, or are off sale."""

    def __init__(self, books: Collection[int]) -> None:
        super().__init__(", ".join(map(str, books)))


class InsufficientStock(Exception):
    """There are too few copies of some of the books."""

    def __init__(self, short: Mapping[int, tuple[int, int]]) -> None:
        told = (f"{free} of {asked} of book {book_id}" for book_id, (asked, free) in short.items())
        super().__init__(", ".join(told))


class Busy(Exception):
    """Somebody else has held on to one of the books for too long."""


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
