"""Orders over HTTP: /v1 with one book an order, /v2 with baskets."""

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import HeaderParameter, JSONBody

from bookstore.contracts.base import number_money
from bookstore.contracts.orders import History, NewOrderV1, NewOrderV2, OrderPage, OrderV1, OrderV2
from bookstore.orders.forms import V1, V2, Form, body_v1, body_v2, order_v1, order_v2
from bookstore.orders.idempotency.model import HEADER, Key, fingerprint, key_in
from bookstore.orders.life import Change
from bookstore.orders.model import Order, summed
from bookstore.orders.placing import Placing, Wish
from bookstore.orders.store import OrderStore
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, page_headers, plainly_asked
from bookstore.service.problem import Asked, Problem, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens import Caller
from bookstore.service.tokens.callers import Together, caller, identified

_JSON = "application/json"
_listing = Together(identified, plainly_asked)

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name=HEADER,
        description="1 to 255 visible ASCII characters. Sent again with the same body within a day, it gets"
        " the same answer, with `Idempotent-Replay: true`, and nothing is ordered again.",
        schema_extra={"minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    ),
]
"""Only described here: `key_in` reads it from the request, where two of them are seen as two."""


def owner(request: Asked) -> int | None:
    """Whose orders the caller may see: a customer's own, or None for everybody's.

    No customer has the number 0: who is neither a customer nor works here sees nothing.
    """
    asks = caller(request)
    return None if asks.is_any("staff", "ops", "service") else asks.customer_id or 0


async def _placed(request: Asked, form: Form, data: Any, placing: Placing) -> Response[Any]:
    path = request.scope["path"]
    text = key_in(request.scope["headers"], path)
    wanted = summed(form.lines(data), path)
    asks = caller(request)
    scope = f"{form.version} {'operator' if asks.user_id is None else asks.user_id}"
    wish = Wish(
        wanted=wanted,
        customer_id=asks.customer_id,
        key=Key(scope, text, fingerprint(wanted)) if text else None,
        answer=form.answer,
    )
    placed = await placing.place(wish, request.headers)
    headers = {"Location": f"{form.path}/{placed.order_id}"}
    if placed.again:
        headers["Idempotent-Replay"] = "true"
    return Response(placed.answer, status_code=201, headers=headers, media_type=_JSON)


async def found(orders: OrderStore, order_id: str, owner: int | None) -> Order:
    """The order with this id in the path, if this owner may see it; anybody else's isn't there."""
    number = identity("order", order_id)
    order = await orders.get(number, owner)
    if order is None:
        raise not_found("order", number)
    return order


@post("/v1/orders", tags=["v1"], before_request=identified, responses=problems(404, 409))
async def add_v1(
    request: Asked, data: JSONBody[NewOrderV1], placing: Given[Placing], _key: IdempotencyKey = None
) -> Response[OrderV1]:
    """Order copies of one book at its price of now."""
    return await _placed(request, V1, data, placing)


@get("/v1/orders", tags=["v1"], before_request=_listing)
async def list_v1(
    request: Asked, orders: Given[OrderStore], limit: Limit = 100, offset: Offset = 0
) -> Response[list[OrderV1]]:
    """Orders of one book, the newest first; baskets are in /v2."""
    newest = await orders.newest(limit, offset, owner(request))
    return _json(number_money.encode([order_v1(order) for order in newest]))


@get("/v1/orders/{order_id:str}", tags=["v1"], before_request=identified, responses=problems(409))
async def read_v1(request: Asked, order_id: PathId, orders: Given[OrderStore]) -> Response[OrderV1]:
    """One order, if it is of one book."""
    order = await found(orders, order_id, owner(request))
    if len(order.items) > 1:
        raise Problem(
            409, "several-books", f"order {order.id} is of several books; read it at /v2/orders/{order.id}"
        )
    return _json(body_v1(order))


@post("/v2/orders", tags=["v2"], before_request=identified, responses=problems(404, 409))
async def add_v2(
    request: Asked, data: JSONBody[NewOrderV2], placing: Given[Placing], _key: IdempotencyKey = None
) -> Response[OrderV2]:
    """Order a basket of books at their prices of now."""
    return await _placed(request, V2, data, placing)


@get("/v2/orders", tags=["v2"], before_request=_listing)
async def list_v2(
    request: Asked, orders: Given[OrderStore], limit: Limit = 20, offset: Offset = 0
) -> Response[OrderPage]:
    """A page of orders, by id from the highest."""
    total, page = await orders.page(limit, offset, owner(request))
    answer = OrderPage(data=[order_v2(order) for order in page], total=total, limit=limit, offset=offset)
    query = request.query_params.multi_items()
    return Response(
        answer, headers=page_headers("/v2/orders", query, total=total, limit=limit, offset=offset)
    )


@get("/v2/orders/{order_id:str}", tags=["v2"], before_request=identified)
async def read_v2(request: Asked, order_id: PathId, orders: Given[OrderStore]) -> Response[OrderV2]:
    """One order."""
    return _json(body_v2(await found(orders, order_id, owner(request))))


@get("/v2/orders/{order_id:str}/history", tags=["v2"], before_request=identified)
async def read_history(request: Asked, order_id: PathId, orders: Given[OrderStore]) -> History:
    """Each change of an order's state, with its time and its cause."""
    number = identity("order", order_id)
    events = await orders.history(number, owner(request))
    if not events:  # an order has one from its beginning
        raise not_found("order", number)
    return History(order_id=number, events=events)


@post(
    "/v2/orders/{order_id:str}/cancel",
    status_code=200,
    tags=["v2"],
    before_request=identified,
    responses=problems(409),
)
async def cancel(request: Asked, order_id: PathId, orders: Given[OrderStore]) -> Response[OrderV2]:
    """Cancel an order that is still being processed; what it holds of the stock is free again soon.

    Whichever of this and the end of the processing is first decides.
    """
    mine = owner(request)
    order = await found(orders, order_id, mine)
    change = Change(order_id=order.id, to="Cancelled", cause=_cancelled_by(caller(request)))
    if not await orders.change(change):
        order = await found(orders, order_id, mine)
        raise Problem(409, "order-final", f"order {order.id} is {order.status} and can't be cancelled")
    return _json(body_v2(await found(orders, order_id, mine)))


def _cancelled_by(asks: Caller) -> str:
    if asks.user_id is None:
        return "cancelled by the operator"
    return f"cancelled by {'staff' if asks.is_any('staff', 'ops') else 'the customer'}"


def _json(body: bytes) -> Response[Any]:
    return Response(body, media_type=_JSON)


handlers = [
    add_v1, list_v1, read_v1,
    add_v2, list_v2, read_v2, read_history, cancel,
]  # fmt: skip

shortcuts = [add_v1, add_v2]
"""Those that are called most."""
