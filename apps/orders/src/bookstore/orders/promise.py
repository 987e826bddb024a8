"""Every answer begins in time, whatever its route has to wait for.

Each step has limits of its own, but a route that reads, changes and reads again adds them up. This is the one
limit round all of it: what takes longer is cut off, and answered with 503. Time spent waiting for the rest of
the request's body is the caller's, and an answer that has begun, as an event stream does, may go on.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from bookstore.orders.pipelines import OutOfTime
from bookstore.service.problem import send_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, Message, Receive, Scope, Send


def promising(seconds: float) -> "Callable[[ASGIApp], ASGIApp]":
    """Wraps an ASGI app so that each answer begins within `seconds`."""

    def wrap(app: "ASGIApp") -> "ASGIApp":
        async def serve(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            request = _Request(seconds, receive, send)
            try:
                async with request.limit:
                    await app(scope, request.receive, request.send)
            except TimeoutError:
                if request.begun or not request.limit.expired():
                    raise
                await send_problem(scope, send, OutOfTime())

        return serve

    return wrap


class _Request:
    """One request under its limit."""

    def __init__(self, seconds: float, receive: "Receive", send: "Send") -> None:
        self.limit = asyncio.timeout(seconds)
        self.begun = False
        """Whether the answer has begun."""
        self._receive = receive
        self._send = send

    async def receive(self) -> Any:
        until = self.limit.when()
        if self.begun or until is None or self.limit.expired():
            return await self._receive()
        loop = asyncio.get_running_loop()
        left = until - loop.time()
        self.limit.reschedule(None)
        try:
            return await self._receive()
        finally:
            self.limit.reschedule(loop.time() + left)

    async def send(self, message: "Message") -> None:
        if not self.begun:
            if self.limit.expired():
                await asyncio.sleep(0)  # too late: here it is cut off
            self.limit.reschedule(None)
            self.begun = True
        await self._send(message)
