"""Answers without a task: for an app that can answer most requests as soon as somebody else has.

A task, a future and the messages of ASGI cost more than what many a request is about. So a plain request is
offered to an express first, if there is one: by HTTP/1.1, without a body, or with a short one that comes
soon. The express takes it, and answers it later from a callback; or it leaves it to the app, be it at once,
or as soon as something has to be waited for.
"""

from typing import Protocol

from bookstore.service.door.exchange import App
from bookstore.service.door.request import Request

WITHOUT_BODY = frozenset({"GET", "HEAD"})
"""Methods of requests of which nobody expects a body: one that has one isn't plain."""
MOST = 16_384
"""Bytes that the body of a plain request may have."""


class Line(Protocol):
    """The connection, for whoever has taken a request."""

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send all of the answer."""
        ...

    def since_arrival(self) -> float:
        """Seconds since the last bytes of the request reached this machine."""
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

    @property
    def methods(self) -> frozenset[str]:
        """Those of requests that it may be asked to take."""
        ...

    def take(self, request: Request, line: Line) -> Passenger | None:
        """Who sees to it that it is answered; None if it isn't for here."""
        ...
