"""What a load needs before it can begin: a customer with a token, and a book with enough copies."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bookstore.lab.load.wire import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

COPIES = 100_000
PRICE = "12.50"


class ShopClosedError(Exception):
    """The system doesn't do what a load needs before it begins."""


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
    book = _good(await ask(urls["books"], "POST", "/v2/books", wanted))
    login = {
        "email": f"load-{secrets.token_hex(6)}@example.com",
        "password": secrets.token_urlsafe(16),
    }
    # At accounts' own door: how often an address may register at the gateway is no part of a load.
    _good(await ask(urls["accounts"], "POST", "/auth/register", {**login, "name": "A customer under load"}))
    token = _good(await ask(urls["accounts"], "POST", "/auth/login", login))["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    me = _good(await ask(urls["accounts"], "GET", "/auth/me", None, Authorization=headers["Authorization"]))
    return Shop(book=int(book["id"]), copies=copies, customer=int(me["customer_id"]), headers=headers)


def _good(answer: Answer) -> Any:
    if not answer.is_good:
        raise ShopClosedError(f"the answer was {answer.status}: {answer.body[:200].decode(errors='replace')}")
    return answer.json()
