"""Stock over HTTP: how many copies of a book there are, and reservations of them for orders."""

from collections.abc import Awaitable
from typing import Annotated, Any, Literal, NoReturn, cast
from urllib.parse import urlencode

from litestar import Response, get, post, put
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter

from bookstore.books.changes import Changed
from bookstore.books.stock.model import (
    Busy,
    Held,
    InsufficientStock,
    Quantities,
    Reserved,
    Stock,
    Taken,
    UnknownBooks,
    is_reservation_id,
    summed,
)
from bookstore.books.stock.store import StockStore
from bookstore.contracts.base import text_money
from bookstore.contracts.books import (
    HeldBook,
    Inventory,
    InventoryChange,
    NewReservation,
    NewReservations,
    Refusal,
    Reservation,
    ReservationList,
    ReservationOutcome,
    ReservationOutcomes,
    ReservationState,
)
from bookstore.contracts.health import Health
from bookstore.contracts.orders import NewLine
from bookstore.contracts.problems import NAMESPACE
from bookstore.service.docs import problems
from bookstore.service.health import Checkup, answer
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, plainly_asked
from bookstore.service.problem import Asked, Problem, invalid_field, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import Together, services_only, staff_only

ReservationId = Annotated[
    str,
    PathParameter(
        description="A name of the caller's, 1 to 64 of A-Za-z0-9._:-",
        schema_extra={"pattern": r"^[A-Za-z0-9._:-]{1,64}$", "examples": ["order-1"]},
    ),
]
Age = Annotated[
    int,
    QueryParameter(
        ge=0, le=2**31 - 1, description="Seconds it has been held, at least.", schema_extra={"examples": [30]}
    ),
]
InState = Annotated[Literal["held"], QueryParameter(name="state")]
After = Annotated[
    str | None,
    QueryParameter(
        description="The last reservation of the page before.", schema_extra={"examples": ["order-1"]}
    ),
]


@get("/inventory/health", tags=["inventory"], responses=problems(503))
async def inventory_health(checkup: Given[Checkup]) -> Response[Health]:
    """How the service that keeps the stock, and each of its dependencies, is."""
    return answer(await checkup.deep())


@get("/inventory/{book_id:str}", tags=["inventory"])
async def read_stock(book_id: PathId, stock: Given[StockStore]) -> Inventory:
    """How many copies of a book can be sold, and how many orders hold."""
    number = identity("book", book_id)
    return _inventory(await stock.get(number) or _missing(number))


@put(
    "/inventory/{book_id:str}",
    tags=["inventory"],
    before_request=staff_only,
    responses=problems(409),
)
async def change_stock(
    book_id: PathId, data: JSONBody[InventoryChange], stock: Given[StockStore], changed: Given[Changed]
) -> Inventory:
    """Say how many copies are on hand, those included that orders hold."""
    number = identity("book", book_id)
    try:
        found = await stock.put(number, data.quantity)
    except Reserved as error:
        detail = f"{error} of book {number}: there can't be fewer on hand"
        raise Problem(409, "stock-reserved", detail) from None
    if found is None:
        _missing(number)
    await changed([number])
    return _inventory(found)


@put(
    "/inventory/reservations/{reservation_id:str}",
    tags=["reservations"],
    before_request=services_only,
    responses={201: ResponseSpec(Reservation, description="Held from now on")} | problems(409),
)
async def reserve(
    request: Asked,
    reservation_id: ReservationId,
    data: JSONBody[NewReservation],
    stock: Given[StockStore],
    changed: Given[Changed],
) -> Response[Reservation]:
    """Hold copies for an order, all of them or none; the same again is told how things stand."""
    name = _named(reservation_id)
    asked = _summed(request, data)
    outcome = await stock.reserve_one(name, asked)
    if refusal := _refusal(outcome, name, asked):
        raise refusal
    taken = cast("Taken", outcome)
    await changed(asked)
    headers = {"Location": f"/inventory/reservations/{name}"} if taken.new else None
    return Response(_reservation(taken.held), status_code=201 if taken.new else 200, headers=headers)


@post(
    "/inventory/reservations",
    status_code=200,
    tags=["reservations"],
    before_request=services_only,
)
async def reserve_together(
    request: Asked, data: JSONBody[NewReservations], stock: Given[StockStore], changed: Given[Changed]
) -> Response[ReservationOutcomes]:
    """Hold copies for several orders, each for itself: what one can't have is no matter of another's.

    Each outcome tells the books as they are sold, or why nothing is held.
    """
    wanted = {each.reservation_id: _summed(request, each) for each in data.reservations}
    if len(wanted) < len(data.reservations):
        raise invalid_field(request.scope["path"], "reservations", "each must have a name of its own")
    outcomes = await stock.reserve(wanted)
    await changed({book_id for asked in wanted.values() for book_id in asked})
    told = ReservationOutcomes(data=[_outcome(name, outcomes[name], asked) for name, asked in wanted.items()])
    # Written here: this is asked for with each order, and the router takes longer.
    body: Any = text_money.encode(told)
    return Response(body, media_type="application/json")


@post(
    "/inventory/reservations/{reservation_id:str}/commit",
    status_code=200,
    tags=["reservations"],
    before_request=services_only,
    responses=problems(409),
)
async def commit(
    reservation_id: ReservationId, stock: Given[StockStore], changed: Given[Changed]
) -> Reservation:
    """Take the copies off the shelf: they are sold. The second time nothing changes."""
    name = _named(reservation_id)
    return await _settled(stock.commit(name), "committed", changed)


@post(
    "/inventory/reservations/{reservation_id:str}/release",
    status_code=200,
    tags=["reservations"],
    before_request=services_only,
    responses=problems(409),
)
async def release(
    reservation_id: ReservationId, stock: Given[StockStore], changed: Given[Changed]
) -> Reservation:
    """Let the copies go: others can have them. A name that isn't known can't be held any more either."""
    name = _named(reservation_id)
    return await _settled(stock.release(name), "released", changed)


@get(
    "/inventory/reservations/{reservation_id:str}",
    tags=["reservations"],
    before_request=services_only,
)
async def read_reservation(reservation_id: ReservationId, stock: Given[StockStore]) -> Reservation:
    """One reservation."""
    return _reservation(await stock.reservation(_named(reservation_id)) or _unknown())


async def _held_only(request: Asked) -> None:
    if request.query_params.getall("state", ["held"]) != ["held"]:
        raise invalid_field(request.scope["path"], "state", "must be held")


@get(
    "/inventory/reservations",
    tags=["reservations"],
    before_request=Together(services_only, plainly_asked, _held_only),
)
async def list_reservations(
    *,
    request: Asked,
    stock: Given[StockStore],
    in_state: InState = "held",
    older_than: Age = 0,
    limit: Limit = 100,
    after: After = None,
) -> Response[ReservationList]:
    """Reservations that are still held, the oldest first; `Link` leads to the next page."""
    start = await stock.reservation(after) if after and is_reservation_id(after) else None
    if after is not None and start is None:
        raise invalid_field(request.scope["path"], "after", "there is no such reservation")
    found = await stock.held(older_than=older_than, limit=limit, after=start)
    headers: dict[str, str] = {}
    if len(found) == limit:
        query = {"state": in_state, "older_than": older_than, "limit": limit, "after": found[-1].id}
        headers["Link"] = f'</inventory/reservations?{urlencode(query)}>; rel="next"'
    return Response(ReservationList(data=[_reservation(each) for each in found]), headers=headers)


def _summed(request: Asked, wanted: NewReservation) -> Quantities:
    try:
        return summed(wanted.items)
    except ValueError as error:
        raise invalid_field(request.scope["path"], "items", str(error)) from None


def _outcome(name: str, outcome: Taken | Exception, asked: Quantities) -> ReservationOutcome:
    if refusal := _refusal(outcome, name, asked):
        told = Refusal(type=NAMESPACE + refusal.slug, status=refusal.status, detail=refusal.detail)
        return ReservationOutcome(reservation_id=name, refusal=told)
    books = [
        HeldBook(book_id=book_id, title=book.title, author=book.author, price=book.price)
        for book_id, book in cast("Taken", outcome).books.items()
    ]
    return ReservationOutcome(reservation_id=name, books=books)


def _refusal(outcome: Taken | Exception, name: str, asked: Quantities) -> Problem | None:
    """Why these copies aren't held under that name; None if they are."""
    match outcome:
        case UnknownBooks():
            return Problem(404, "not-found", f"book {outcome} not found")
        case InsufficientStock():
            return Problem(409, "insufficient-stock", f"too few copies can be sold: {outcome}")
        case Busy():
            return _busy()
        case Taken(held=held) if held.state == "released":
            return Problem(
                409, "reservation-released", f"reservation {name} was released and can't be held again"
            )
        case Taken(held=held) if held.quantities != asked:
            return Problem(409, "reservation-conflict", f"reservation {name} holds other items")
        case Taken():
            return None
        case _:
            raise outcome


def _busy() -> Problem:
    return Problem(503, "books-busy", "somebody else holds on to one of these books; ask again")


async def _settled(
    settling: Awaitable[Held | None], state: ReservationState, changed: Changed
) -> Reservation:
    try:
        found = await settling or _unknown()
    except Busy:
        raise _busy() from None
    if found.state != state:
        raise Problem(409, f"reservation-{found.state}", f"reservation {found.id} was {found.state} before")
    # Also when nothing is new: the process that settled it may have died before it could tell.
    await changed(found.quantities)
    return _reservation(found)


def _inventory(stock: Stock) -> Inventory:
    return Inventory(book_id=stock.book_id, quantity=stock.free, reserved=stock.reserved)


def _reservation(held: Held) -> Reservation:
    items = [NewLine(book_id=book_id, quantity=quantity) for book_id, quantity in held.quantities.items()]
    return Reservation(reservation_id=held.id, state=held.state, items=items, created_at=held.created_at)


def _named(reservation_id: str) -> str:
    return reservation_id if is_reservation_id(reservation_id) else _unknown()


def _unknown() -> NoReturn:
    raise Problem(404, "not-found", "there is no such reservation")


def _missing(book_id: int) -> NoReturn:
    raise not_found("book", book_id)


handlers = [
    inventory_health, read_stock, change_stock,
    reserve, reserve_together, commit, release, read_reservation, list_reservations,
]  # fmt: skip

shortcuts = [reserve_together]
"""What orders asks for all the time."""
