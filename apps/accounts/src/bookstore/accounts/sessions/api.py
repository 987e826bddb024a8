"""Registering, logging in and staying logged in, over HTTP."""

from time import perf_counter

from litestar import Response, get, post
from litestar.params import JSONBody

from bookstore.accounts.described import LoginOperation
from bookstore.accounts.people.model import EmailTaken
from bookstore.accounts.people.passwords import Passwords
from bookstore.accounts.people.store import PeopleStore
from bookstore.accounts.sessions.desk import Desk
from bookstore.accounts.sessions.form import read_login
from bookstore.accounts.sessions.model import Network, address
from bookstore.contracts.accounts import Me, NewPassword, RefreshToken, Registration, Tokens
from bookstore.service.docs import problems
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import logged_in, user_id

_SECRET = {"Cache-Control": "no-store"}


def _address(request: Asked, proxies: list[Network]) -> str:
    client = request.scope["client"]
    return address(client[0] if client else "", request.scope["headers"], proxies)


@post("/auth/register", tags=["people"], responses=problems(409))
async def register(
    data: JSONBody[Registration], people: Given[PeopleStore], passwords: Given[Passwords]
) -> Response[Me]:
    """Become a customer who can log in."""
    taken = Problem(409, "email-taken", "somebody has this e-mail address already")
    if await people.user_by_email(data.email):
        raise taken
    password_hash = await passwords.hash(data.password)
    try:
        user = await people.register(email=data.email, name=data.name, password_hash=password_hash)
    except EmailTaken:
        raise taken from None
    return Response(
        user.me(), status_code=201, headers={"Location": f"/v1/customers/{user.customer_id}", **_SECRET}
    )


@post(
    "/auth/login",
    status_code=200,
    tags=["people"],
    operation_class=LoginOperation,
    responses=problems(401, 429),
)
async def login(request: Asked, desk: Given[Desk], proxies: Given[list[Network]]) -> Response[Tokens]:
    """Get tokens for an address and a password, as JSON or as a form (`username`, `password`)."""
    given = await read_login(request)
    return Response(await desk.log_in(given, _address(request, proxies)), headers=_SECRET)


@get("/auth/me", tags=["people"], before_request=logged_in)
async def me(request: Asked, desk: Given[Desk]) -> Response[Me]:
    """Whom the token was made for."""
    user = await desk.user(user_id(request))
    return Response(user.me(), headers=_SECRET)


@post("/auth/refresh", status_code=200, tags=["people"], responses=problems(401))
async def refresh(data: JSONBody[RefreshToken], desk: Given[Desk]) -> Response[Tokens]:
    """Get new tokens for a refresh token, once; sent again it ends the session."""
    return Response(await desk.refresh(data.refresh_token, arrived=perf_counter()), headers=_SECRET)


@post("/auth/logout", status_code=204, tags=["people"])
async def logout(data: JSONBody[RefreshToken], desk: Given[Desk]) -> None:
    """End the session of a refresh token."""
    await desk.log_out(data.refresh_token)


@post(
    "/auth/password",
    status_code=204,
    tags=["people"],
    before_request=logged_in,
    responses=problems(403, 429),
)
async def password(
    request: Asked,
    data: JSONBody[NewPassword],
    desk: Given[Desk],
    proxies: Given[list[Network]],
) -> None:
    """Change the password; all sessions end."""
    await desk.change_password(user_id(request), data, _address(request, proxies))


handlers = [register, login, me, refresh, logout, password]
