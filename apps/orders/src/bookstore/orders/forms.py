"""What each version of the API takes for an order, and what it tells of one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bookstore.contracts.base import number_money, text_money
from bookstore.contracts.orders import NewLine, NewOrderV1, NewOrderV2, OrderV1, OrderV2
from bookstore.orders.model import Order


class Form(NamedTuple):
    """How orders come in one version."""

    version: str
    path: str
    kind: type
    """Of the request's body."""
    lines: Callable[[Any], Sequence[NewLine]]
    """What is wanted by such a body."""
    answer: Callable[[Order], bytes]


def order_v1(order: Order) -> OrderV1:
    """An order of one book."""
    line = order.items[0]
    return OrderV1(
        id=order.id,
        book_id=line.book_id,
        book_title=line.book_title,
        book_author=line.book_author,
        quantity=line.quantity,
        unit_price=line.unit_price,
        total_price=line.total_price,
        created_at=order.created_at,
        status=order.status,
        job_id=order.job_id,
    )


def order_v2(order: Order) -> OrderV2:
    """Any order."""
    return OrderV2(
        id=order.id,
        status=order.status,
        customer_id=order.customer_id,
        items=order.items,
        total_price=order.total_price,
        created_at=order.created_at,
        updated_at=order.updated_at,
        job_id=order.job_id,
    )


def body_v1(order: Order) -> bytes:
    """Money as JSON numbers of exact digits."""
    return number_money.encode(order_v1(order))


def body_v2(order: Order) -> bytes:
    """Money as text."""
    return text_money.encode(order_v2(order))


def _line_v1(data: NewOrderV1) -> Sequence[NewLine]:
    return [NewLine(book_id=data.book_id, quantity=data.quantity)]


def _lines_v2(data: NewOrderV2) -> Sequence[NewLine]:
    return data.items


V1 = Form("v1", "/v1/orders", NewOrderV1, _line_v1, body_v1)
V2 = Form("v2", "/v2/orders", NewOrderV2, _lines_v2, body_v2)
