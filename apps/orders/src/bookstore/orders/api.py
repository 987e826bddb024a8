"""Orders over HTTP: /v1 with one book an order, /v2 with baskets."""

from typing import Any

from litestar import Response, get, post
from litestar.params import JSONBody

from bookstore.contracts.base import number_money
from bookstore.contracts.orders import NewLine, NewOrderV1, NewOrderV2, OrderPage, OrderV1, OrderV2
from bookstore.orders.catalogue import Catalogue
from bookstore.orders.model import Order, priced, summed
from bookstore.orders.store import OrderStore
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, page_headers, plainly_asked
from bookstore.service.problem import Asked, Problem, not_found
from bookstore.service.provide import Given

_JSON = "application/json"


def _v1(order: Order) -> OrderV1:
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


def _v2(order: Order) -> OrderV2:
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


async def _placed(lines: list[NewLine], request: Asked, orders: OrderStore, catalogue: Catalogue) -> Order:
    """Take a snapshot of each book, then keep the order: if either fails, nothing is ordered."""
    wanted = summed(lines, request.scope["path"])
    books = await catalogue.lookup(wanted)
    return await orders.add(priced(wanted, books), customer_id=None)


async def _found(orders: OrderStore, order_id: str) -> Order:
    number = identity("order", order_id)
    order = await orders.get(number)
    if order is None:
        raise not_found("order", number)
    return order


@post("/v1/orders", tags=["v1"], responses=problems(404))
async def add_v1(
    request: Asked, data: JSONBody[NewOrderV1], orders: Given[OrderStore], catalogue: Given[Catalogue]
) -> Response[OrderV1]:
    """Order copies of one book at its price of now."""
    line = NewLine(book_id=data.book_id, quantity=data.quantity)
    order = await _placed([line], request, orders, catalogue)
    return _in_numbers(_v1(order), status_code=201, headers={"Location": f"/v1/orders/{order.id}"})


@get("/v1/orders", tags=["v1"], before_request=plainly_asked)
async def list_v1(
    orders: Given[OrderStore], limit: Limit = 100, offset: Offset = 0
) -> Response[list[OrderV1]]:
    """Orders of one book, the newest first; baskets are in /v2."""
    return _in_numbers([_v1(order) for order in await orders.newest(limit, offset)])


@get("/v1/orders/{order_id:str}", tags=["v1"], responses=problems(409))
async def read_v1(order_id: PathId, orders: Given[OrderStore]) -> Response[OrderV1]:
    """One order, if it is of one book."""
    order = await _found(orders, order_id)
    if len(order.items) > 1:
        raise Problem(
            409, "several-books", f"order {order.id} is of several books; read it at /v2/orders/{order.id}"
        )
    return _in_numbers(_v1(order))


@post("/v2/orders", tags=["v2"], responses=problems(404))
async def add_v2(
    request: Asked, data: JSONBody[NewOrderV2], orders: Given[OrderStore], catalogue: Given[Catalogue]
) -> Response[OrderV2]:
    """Order a basket of books at their prices of now."""
    order = await _placed(data.items, request, orders, catalogue)
    return Response(_v2(order), status_code=201, headers={"Location": f"/v2/orders/{order.id}"})


@get("/v2/orders", tags=["v2"], before_request=plainly_asked)
async def list_v2(
    request: Asked, orders: Given[OrderStore], limit: Limit = 20, offset: Offset = 0
) -> Response[OrderPage]:
    """A page of orders, by id from the highest."""
    total, found = await orders.page(limit, offset)
    page = OrderPage(data=[_v2(order) for order in found], total=total, limit=limit, offset=offset)
    query = request.query_params.multi_items()
    return Response(page, headers=page_headers("/v2/orders", query, total=total, limit=limit, offset=offset))


@get("/v2/orders/{order_id:str}", tags=["v2"])
async def read_v2(order_id: PathId, orders: Given[OrderStore]) -> OrderV2:
    """One order."""
    return _v2(await _found(orders, order_id))


def _in_numbers(
    content: OrderV1 | list[OrderV1], *, status_code: int = 200, headers: dict[str, str] | None = None
) -> Response[Any]:
    """The answer with money as JSON numbers of exact digits."""
    return Response(number_money.encode(content), status_code=status_code, headers=headers, media_type=_JSON)


handlers = [add_v1, list_v1, read_v1, add_v2, list_v2, read_v2]
