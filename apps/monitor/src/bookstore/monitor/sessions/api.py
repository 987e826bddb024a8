"""Signing in and out, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Response, delete, get, post
from litestar.params import JSONBody
from msgspec import UNSET

from bookstore.contracts.console import NewTicket, Session, SignIn, Ticket
from bookstore.monitor.audit.book import Actor, AuditBook
from bookstore.monitor.sessions import model
from bookstore.monitor.sessions.doorman import Doorman, actor_of, needs_bearer
from bookstore.monitor.sessions.guard import SWITCHING, json_only, own_page
from bookstore.monitor.sessions.keeper import Keeper
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.docs import problems
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import Together

_TAGS = ["session"]
_SECRET = {"Cache-Control": "no-store"}
_URL = "/v2/monitor/session"


@get(_URL, tags=_TAGS)
async def show_session(request: Asked, settings: Given[MonitorSettings]) -> Response[Session]:
    """Who is signed in, and what is open to them; nobody is refused here."""
    doorman: Doorman = request.app.state["access"]
    session = doorman.session(request.scope["headers"])
    return Response(await _told(request, doorman, session, settings), headers=_SECRET)


@post(
    _URL,
    tags=_TAGS,
    before_request=Together(own_page, json_only),
    responses=problems(401, 403, 415, 422, 429, 503),
)
async def sign_in(
    request: Asked,
    data: JSONBody[SignIn],
    keeper: Given[Keeper],
    audit: Given[AuditBook],
    settings: Given[MonitorSettings],
) -> Response[Session]:
    """Sign in with an address and a password, or with a ticket; only for ops."""
    doorman: Doorman = request.app.state["access"]
    client = request.scope["client"]
    address = client[0] if client else ""
    actor = Actor()
    with (
        audit.switching(actor, "sign-in", "", {"by": "password" if data.ticket is UNSET else "ticket"}),
        keeper.failures.attempt(address),
    ):
        session = await _admitted(data, keeper, address)
        actor.who, actor.user_id = session.who, session.caller.user_id
    if (before := doorman.session(request.scope["headers"])) is not None and before is not session:
        keeper.leave(before)
    secret = keeper.book.begin(session)
    headers = {**_SECRET, "Set-Cookie": model.cookie(secret, secure=_is_secure(request))}
    return Response(await _told(request, doorman, session, settings), status_code=201, headers=headers)


@delete(_URL, tags=_TAGS, before_request=Together(own_page, json_only), responses=problems(403))
async def sign_out(request: Asked, keeper: Given[Keeper], audit: Given[AuditBook]) -> Response[None]:
    """Sign out; without a session nothing happens."""
    doorman: Doorman = request.app.state["access"]
    session = doorman.session(request.scope["headers"])
    if session is not None:
        with audit.switching(actor_of(session), "sign-out"):
            keeper.leave(session)
    headers = {**_SECRET, "Set-Cookie": model.cookie("", secure=_is_secure(request))}
    return Response(None, status_code=204, headers=headers)


@post("/v2/monitor/tickets", tags=_TAGS, before_request=SWITCHING, responses=problems(401, 403, 415, 422))
async def make_ticket(
    request: Asked, data: JSONBody[NewTicket], keeper: Given[Keeper], audit: Given[AuditBook]
) -> Response[Ticket]:
    """A ticket with which a browser signs in once, in the name of whoever shows a bearer token here."""
    token = needs_bearer(request).decode("ascii", "replace")
    session = await keeper.of_token(token, data.refresh_token)
    with audit.switching(actor_of(session), "ticket"):
        secret, seconds = keeper.book.issue(session)
    told = Ticket(ticket=secret, expires_at=_in(seconds))
    return Response(told, status_code=201, headers=_SECRET)


async def _admitted(data: SignIn, keeper: Keeper, address: str) -> model.Session:
    if isinstance(data.ticket, str):
        with keeper.book.redeem(data.ticket) as session:
            return await keeper.admit(session)
    if not (isinstance(data.email, str) and isinstance(data.password, str)):
        raise TypeError  # the shape has seen to that
    return await keeper.log_in(data.email, data.password, address)


async def _told(
    request: Asked, doorman: Doorman, session: model.Session | None, settings: MonitorSettings
) -> Session:
    may_read, who, roles = not doorman.required, None, frozenset[str]()
    ends: float | None = None
    if session is not None:
        may_read, who, roles = True, session.who, session.caller.roles
        ends = session.ends - doorman.keeper.book.now()
    else:
        try:
            found = await doorman.caller(request.scope["headers"], required=True)
        except Problem:
            pass
        else:
            who, roles = f"user {found.user_id}", found.roles
            may_read = may_read or found.is_any("ops")
    return Session(
        signed_in=who is not None,
        who=who,
        roles=sorted(roles),
        expires_at=None if ends is None else _in(ends),
        may_read=may_read,
        may_switch="ops" in roles,
        faults_allowed=settings.faults_allowed,
        lab_available=bool(settings.desk_url),
        jaeger_url=settings.jaeger_url or None,
    )


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _is_secure(request: Asked) -> bool:
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return request.scope["scheme"] == "https" or forwarded == "https"


handlers: list[Any] = [show_session, sign_in, sign_out, make_ticket]
