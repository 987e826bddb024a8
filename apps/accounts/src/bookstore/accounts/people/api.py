"""Customers' records over HTTP: those who work here see all, a customer sees itself and nobody else."""

from typing import NoReturn

from litestar import Response, delete, get, post, put
from litestar.params import JSONBody

from bookstore.accounts.people.model import EmailTaken
from bookstore.accounts.people.store import PeopleStore
from bookstore.contracts.accounts import Customer, CustomerChange, NewCustomer
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, plainly_asked
from bookstore.service.problem import Asked, Problem, invalid, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import STAFF, Together, caller, identified, staff_only


def _allowed(request: Asked, customer_id: str) -> int:
    number = identity("customer", customer_id)
    who = caller(request)
    if not who.is_any(*STAFF) and who.customer_id != number:
        _missing(number)
    return number


def _missing(number: int) -> NoReturn:
    raise not_found("customer", number)


def _taken() -> Problem:
    return Problem(409, "email-taken", "somebody has this e-mail address already")


@get("/v1/customers", tags=["customers"], before_request=Together(staff_only, plainly_asked))
async def list_customers(
    people: Given[PeopleStore], limit: Limit = 100, offset: Offset = 0
) -> list[Customer]:
    """Customers, the newest first; for those who work here."""
    return await people.customers(limit, offset)


@post("/v1/customers", tags=["customers"], before_request=staff_only, responses=problems(409))
async def add_customer(data: JSONBody[NewCustomer], people: Given[PeopleStore]) -> Response[Customer]:
    """Add a customer who can't log in; for those who work here."""
    try:
        customer = await people.add_customer(email=data.email, name=data.name)
    except EmailTaken:
        raise _taken() from None
    return Response(customer, status_code=201, headers={"Location": f"/v1/customers/{customer.id}"})


@get("/v1/customers/{customer_id:str}", tags=["customers"], before_request=identified)
async def read_customer(request: Asked, customer_id: PathId, people: Given[PeopleStore]) -> Customer:
    """One customer."""
    number = _allowed(request, customer_id)
    return await people.customer(number) or _missing(number)


@put(
    "/v1/customers/{customer_id:str}",
    tags=["customers"],
    before_request=identified,
    responses=problems(409),
)
async def change_customer(
    request: Asked, customer_id: PathId, data: JSONBody[CustomerChange], people: Given[PeopleStore]
) -> Customer:
    """Change the name or the address of a customer, who then logs in with the new one."""
    number = _allowed(request, customer_id)
    if data.name is None and data.email is None:
        raise invalid(request.scope["path"], "give at least one field to change")
    try:
        changed = await people.change_customer(number, name=data.name, email=data.email)
    except EmailTaken:
        raise _taken() from None
    return changed or _missing(number)


@delete(
    "/v1/customers/{customer_id:str}",
    status_code=204,
    tags=["customers"],
    before_request=identified,
)
async def delete_customer(request: Asked, customer_id: PathId, people: Given[PeopleStore]) -> None:
    """End a customer, and their login with it."""
    number = _allowed(request, customer_id)
    if not await people.delete_customer(number):
        _missing(number)


handlers = [list_customers, add_customer, read_customer, change_customer, delete_customer]
