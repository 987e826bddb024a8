"""Rules of the catalogue, without I/O."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from bookstore.contracts.problems import FieldError
from bookstore.service.problem import invalid

MAX_PRICE = Decimal("99999999.99")
_CENT = Decimal("0.01")
_TEXTS = ("title", "author", "description")


class Book(msgspec.Struct, frozen=True):
    """A book as it stands in the catalogue."""

    id: int
    title: str
    author: str
    description: str | None
    price: Decimal
    stock: int
    active: bool
    created_at: datetime
    updated_at: datetime


def checked(given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The given fields as they are kept: text trimmed and its white space folded, the price to the cent.

    Raises:
        Problem: if a text is empty after that, or the price can't be.
    """
    kept = dict(given)
    for name in _TEXTS:
        text = kept.get(name)
        if text is None:
            continue
        kept[name] = " ".join(text.split())
        if not kept[name]:
            if name == "description":
                kept[name] = None
                continue
            raise _refused(path, name, "must not be empty")
    if kept.get("price") is not None:
        kept["price"] = _price(kept["price"], path)
    return kept


def _price(price: Decimal, path: str) -> Decimal:
    if not price.is_finite() or not 0 <= price <= MAX_PRICE:
        raise _refused(path, "price", f"must be from 0 to {MAX_PRICE}")
    cents = price.quantize(_CENT)
    if cents != price:
        raise _refused(path, "price", "must have at most 2 decimals")
    return abs(cents)


def _refused(path: str, field: str, message: str) -> Exception:
    return invalid(path, f"{field}: {message}", [FieldError(field=field, message=message)])
