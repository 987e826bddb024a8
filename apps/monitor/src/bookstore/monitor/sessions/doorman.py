"""Who asks the monitor: by a token, as everywhere, or by the cookie of a session."""

from collections.abc import Awaitable, Callable, Iterable

from bookstore.monitor.audit.book import Actor
from bookstore.monitor.sessions.keeper import Keeper
from bookstore.monitor.sessions.model import Session, cookie_of
from bookstore.service.problem import Asked, Problem
from bookstore.service.tokens import Access, Caller, Verifier
from bookstore.service.tokens.callers import caller
from bookstore.service.upstream import Answer, Header


class Doorman(Access):
    """Tells who asks. A token counts before a cookie, and is looked at even where none is needed."""

    def __init__(self, verifier: Verifier, keeper: Keeper, *, required: bool, service_secret: str) -> None:
        super().__init__(verifier, required=required, service_secret=service_secret)
        self.keeper = keeper

    def session(self, headers: Iterable[tuple[bytes, bytes]]) -> Session | None:
        """The session that a request belongs to; none for one that comes with a token."""
        headers = [*headers]
        if any(name == b"authorization" for name, _ in headers):
            return None
        return self.keeper.book.find(cookie_of(headers))

    async def caller(self, headers: Iterable[tuple[bytes, bytes]], *, required: bool = False) -> Caller:
        """Who sent a request with these headers.

        Raises:
            Problem: 401 without a session or token where one is required, and for one that isn't good.
        """
        headers = [*headers]
        session = self.session(headers)
        return session.caller if session else await super().caller(headers, required=required)


def actor_of(session: Session) -> Actor:
    """What somebody who is signed in is called in the audit."""
    return Actor(session.who, session.caller.user_id)


def _plain(found: Caller) -> Actor:
    return Actor("" if found.user_id is None else f"user {found.user_id}", found.user_id)


class Person:
    """Somebody who asks, in whose name others can be asked."""

    def __init__(self, request: Asked) -> None:
        doorman: Doorman = request.app.state["access"]
        headers = request.scope["headers"]
        self._keeper = doorman.keeper
        self._shown = [(name, value) for name, value in headers if name == b"authorization"]
        self.session = doorman.session(headers)
        self.caller = caller(request)
        """As a hook has found."""

    @property
    def actor(self) -> Actor:
        """What they are called in the audit."""
        return actor_of(self.session) if self.session else _plain(self.caller)

    async def ask(self, send: Callable[[list[Header]], Awaitable[Answer]]) -> Answer:
        """Make a call in their name; without any name, for somebody who has shown none.

        Raises:
            Problem: 401 if their session is over by now, 503 if its token has ended and accounts can't say.
        """
        if self.session is None:
            return await send(self._shown)
        return await self._keeper.ask(self.session, lambda header: send([header]))

    def lasts(self) -> bool:
        """Whether they may go on with what they began."""
        return self.session is None or self._keeper.book.lasts(self.session)


def needs_bearer(request: Asked) -> bytes:
    """The bearer token that came with a request.

    Raises:
        Problem: 401 if it came with none.
    """
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            return value.partition(b" ")[2].strip()
    headers = {"WWW-Authenticate": "Bearer"}
    raise Problem(401, "unauthenticated", "this needs a bearer token, not a session", headers=headers)
