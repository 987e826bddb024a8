"""What a load needs before it can begin: a customer with a token, and a book with enough copies."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bookstore.lab.load.wire import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

COPIES = 100_000
PRICE = "12.50"


class ShopClosedError(Exception):
    """The system doesn't do what a load needs before it begins."""


class _Book(msgspec.Struct):
    id: int
    stock: int


class _Shelf(msgspec.Struct):
    data: list[_Book]


class _Tokens(msgspec.Struct):
    access_token: str


class _Customer(msgspec.Struct):
    customer_id: int


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A book on the shelf and a customer who has come in."""

    book: int
    copies: int
    customer: int
    headers: Mapping[str, str]


async def open_shop(urls: Mapping[str, str], copies: int = COPIES) -> Shop:
    """Make a book and a customer of this run's own; `urls` are those of the services by name.

    Raises:
        ShopClosedError: a service says no.
    """
    wanted = {"title": "A Book under Load", "author": "The Lab", "price": PRICE, "stock": copies}
    book = _good(await ask(urls["books"], "POST", "/v2/books", wanted), _Book)
    # At accounts' own door: how often an address may register at the gateway is no part of a load.
    customer, headers = await _customer(urls["accounts"])
    return Shop(book=book.id, copies=copies, customer=customer, headers=headers)


async def enter_shop(gateway: str) -> Shop:
    """Come in by the front door, as anybody can; the book is the one of which there are most copies.

    Raises:
        ShopClosedError: the gateway, or who is behind it, says no; or nothing is left to buy.
    """
    shelf = _good(await ask(gateway, "GET", "/v2/books?in_stock=true&limit=100"), _Shelf).data
    if not shelf:
        raise ShopClosedError("no book is left to buy")
    book = max(shelf, key=lambda book: book.stock)
    customer, headers = await _customer(gateway)
    return Shop(book=book.id, copies=book.stock, customer=customer, headers=headers)


async def _customer(door: str) -> tuple[int, Mapping[str, str]]:
    """Somebody who registers and logs in there: the number, and what shows it."""
    login = {
        "email": f"load-{secrets.token_hex(6)}@example.com",
        "password": secrets.token_urlsafe(16),
    }
    _good(await ask(door, "POST", "/auth/register", {**login, "name": "A customer under load"}), object)
    token = _good(await ask(door, "POST", "/auth/login", login), _Tokens).access_token
    headers = {"Authorization": f"Bearer {token}"}
    me = _good(await ask(door, "GET", "/auth/me", None, Authorization=headers["Authorization"]), _Customer)
    return me.customer_id, headers


def _good(answer: Answer, kind: type[T]) -> T:
    """What an answer says, if it is a bookstore's."""
    said = answer.body[:200].decode(errors="replace")
    if not answer.is_good:
        raise ShopClosedError(f"the answer was {answer.status}: {said}")
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise ShopClosedError(f"that is no bookstore, which answers {said!r}") from error
