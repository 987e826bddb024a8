"""What a search of the catalogue asks for, without I/O."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from bookstore.contracts.values import Price, Text


class Search(msgspec.Struct, frozen=True):
    """Which books are meant: those that meet all of it; what is None is not asked for."""

    q: str | None = None
    """Stands in the title or the author, in any case."""
    author: str | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    in_stock: bool | None = None


EVERYTHING = Search()


class BadSearch(Exception):
    """A part of a search that can't be used: its name, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def search_of(query: Mapping[str, Sequence[str]]) -> Search:
    """The search that a query string asks for, by each name's values; other names are passed over.

    Raises:
        BadSearch: for a value that can't be meant.
    """
    given = {name: _single(name, query[name]) for name in Search.__struct_fields__ if query.get(name)}
    search = Search(
        q=_words("q", given.get("q")),
        author=_words("author", given.get("author")),
        min_price=_price("min_price", given.get("min_price")),
        max_price=_price("max_price", given.get("max_price")),
        in_stock=_yes_or_no("in_stock", given.get("in_stock")),
    )
    if search.min_price is not None and search.max_price is not None and search.min_price > search.max_price:
        raise BadSearch("min_price", "must not be over max_price")
    return search


def _single(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise BadSearch(name, "given more than once")
    return values[0]


class _Words(Text):
    """Folded as titles are; nothing at all stands in every title."""

    __slots__ = ()
    shortest = 0


def _words(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    if "\ufffd" in text:  # what became of bytes that are no UTF-8
        raise BadSearch(name, "must be UTF-8")
    try:
        return str(_Words(text)) or None
    except ValueError as error:
        raise BadSearch(name, str(error)) from None


def _price(name: str, text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(Price(text))
    except ValueError as error:
        raise BadSearch(name, str(error)) from None


def _yes_or_no(name: str, text: str | None) -> bool | None:
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise BadSearch(name, "must be true or false")
    return text.lower() == "true"
