"""How the supplier judges an order. Rules only: nothing here waits, reads or writes."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from bookstore.contracts.supplier import Outcome, ValidationRequest

MOST_PIECES = 1_000
"""A line of more is rejected."""

_KEY = re.compile(r"[!-~]{1,255}")


class Judgement(NamedTuple):
    """What the supplier makes of an order."""

    status: Outcome
    reason: str | None = None


VALIDATED = Judgement("validated")


def products(listed: str) -> frozenset[str]:
    """The products of a list with commas, in the form in which they are compared."""
    return frozenset(_folded(each) for each in listed.split(",") if each.strip())


def judge(order: ValidationRequest, not_supplied: frozenset[str]) -> Judgement:
    """Reject the whole order for its first bad line; the same order is always judged the same."""
    for product, pieces in _lines(order):
        if pieces > MOST_PIECES:
            return Judgement("rejected", f"{pieces} pieces of {product}: at most {MOST_PIECES} a line")
        if _folded(product) in not_supplied:
            return Judgement("rejected", f"{product} is not supplied")
    return VALIDATED


def idempotency_key(header: str | None, order: ValidationRequest) -> str | None:
    """What names this piece of work: the header, else the order itself; None if the header is no key."""
    if header is None:
        return str(order.order_id)
    return header if _KEY.fullmatch(header) else None


def _lines(order: ValidationRequest) -> Iterator[tuple[str, int]]:
    if isinstance(order.items, list):
        for line in order.items:
            yield str(line.book_id), line.quantity
    elif isinstance(order.product, str) and isinstance(order.quantity, int):
        yield order.product, order.quantity


def _folded(product: str) -> str:
    return " ".join(product.split()).casefold()
