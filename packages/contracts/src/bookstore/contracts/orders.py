"""Orders on the wire: one book each in /v1, baskets in /v2."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, field

from bookstore.contracts.base import Id, Money, NumberMoney, Page, Wire

MAX_QUANTITY = 10_000
MAX_LINES = 100

Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY, description="Copies of one book.", examples=[2])]
State = Literal["Processing", "Validated", "Rejected", "Failed", "Cancelled"]


class NewOrderV1(Wire, frozen=True, kw_only=True):
    """What POST /v1/orders takes: one book."""

    book_id: Id
    quantity: Quantity


class NewLine(Wire, frozen=True, kw_only=True):
    """One line of a new basket."""

    book_id: Id
    quantity: Quantity


class NewOrderV2(Wire, frozen=True, kw_only=True):
    """What POST /v2/orders takes: a basket; lines of the same book are summed."""

    items: Annotated[list[NewLine], Meta(min_length=1, max_length=MAX_LINES)]


class OrderV1(Wire, frozen=True, kw_only=True):
    """An order of one book in /v1; its amounts are written as JSON numbers."""

    id: Id
    book_id: Id
    book_title: str
    book_author: str
    quantity: int
    unit_price: NumberMoney
    total_price: NumberMoney
    created_at: datetime
    status: State
    job_id: Id


class Line(Wire, frozen=True, kw_only=True):
    """One line of an order, with the book as it was when it was ordered."""

    book_id: Id
    book_title: str
    book_author: str
    quantity: int
    unit_price: Money
    total_price: Money


class OrderV2(Wire, frozen=True, kw_only=True):
    """An order in /v2."""

    id: Id
    status: State
    customer_id: int | None
    items: list[Line]
    total_price: Money
    created_at: datetime
    updated_at: datetime
    job_id: Id


class OrderPage(Page, frozen=True, kw_only=True):
    """What GET /v2/orders answers."""

    data: list[OrderV2]


Cause = Annotated[str, Meta(description="Why, for people.", examples=["validated by the supplier"])]


class Change(Wire, frozen=True, kw_only=True):
    """One change of an order's state; the first one, from nothing, is the order itself."""

    from_: State | None = field(name="from")
    to: State
    at: datetime
    cause: Cause


class History(Wire, frozen=True, kw_only=True):
    """What GET /v2/orders/{id}/history answers, the oldest first."""

    order_id: Id
    events: list[Change]


class StateEvent(Wire, frozen=True, kw_only=True):
    """The data of an event of GET /v2/orders/{id}/events: the order's state, and since when."""

    order_id: Id
    status: State
    at: datetime
    cause: Cause


class StockCheck(Wire, frozen=True, kw_only=True):
    """What GET /v1/orders/check-inventory/{book_id} answers."""

    quantity: Annotated[int, Meta(description="Copies that can be sold.", examples=[100])]
    source: Annotated[
        Literal["service", "redis_cache"],
        Meta(description="`service`: as it is now. `redis_cache`: as it was when books last told."),
    ]
