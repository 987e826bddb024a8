"""What a client may ask for: a small shop's day, as names that a mix weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Ask(NamedTuple):
    """A request, ready to send: `headers` beside those that every request has."""

    method: str
    path: str
    body: object = None
    headers: tuple[tuple[str, str], ...] = ()


def _order(number: int, run: str, book: int) -> Ask:
    key = (("Idempotency-Key", f"{run}-{number}"),)
    return Ask("POST", "/v1/orders", {"book_id": book, "quantity": 1}, key)


def _basket(number: int, run: str, book: int) -> Ask:
    key = (("Idempotency-Key", f"{run}-{number}"),)
    return Ask("POST", "/v2/orders", {"items": [{"book_id": book, "quantity": 1}]}, key)


OPS: dict[str, Callable[[int, str, int], Ask]] = {
    "order": _order,
    "basket": _basket,
    "browse": lambda number, _run, _book: Ask("GET", f"/v2/books?limit=20&offset={20 * (number % 5)}"),
    "book": lambda _number, _run, book: Ask("GET", f"/v2/books/{book}"),
    "search": lambda _number, _run, _book: Ask("GET", "/v2/books?q=the&limit=20"),
    "mine": lambda _number, _run, _book: Ask("GET", "/v2/orders?limit=20"),
}
ORDERS = frozenset({"order", "basket"})
"""Those that make an order."""
DEFAULT_MIX = "browse=5,book=4,order=1"
