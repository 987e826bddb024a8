"""Answers without a task: for an app that can answer most requests as soon as somebody else has.

A task, a future and the messages of ASGI cost more than what many a request is about. So a request without a
body, by HTTP/1.1, is offered to an express first, if there is one. That takes it, and answers it later from a
callback; or it leaves it to the app, be it at once, or as soon as something has to be waited for.
"""

from typing import Protocol

from bookstore.service.door.exchange import App
from bookstore.service.door.request import Request

METHODS = frozenset({"GET", "HEAD"})
"""Those of requests that have no body, if they don't say so."""


class Line(Protocol):
    """The connection, for whoever has taken a request."""

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send all of the answer."""
        ...

    def hand_over(self, app: App) -> None:
        """Have the request answered by this app after all."""
        ...

    def break_off(self) -> None:
        """Say that something went wrong, unless that is too late, and close."""
        ...


class Passenger(Protocol):
    """A request that was taken."""

    def begin(self) -> None:
        """It is under way from here on."""
        ...

    def leave(self) -> None:
        """The client has gone: no answer is wanted any more."""
        ...


class Express(Protocol):
    """Takes requests."""

    def take(self, request: Request, line: Line) -> Passenger | None:
        """Who sees to it that it is answered; None if it isn't for here."""
        ...
