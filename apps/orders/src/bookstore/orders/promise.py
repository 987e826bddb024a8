"""Every answer begins in time, whatever its route has to wait for.

Each step has limits of its own, but a route that reads, changes and reads again adds them up. This is the one
limit round all of it: what takes longer is cut off, and answered with 503. The time begins when the request
reached this machine, not when our event loop came to read it: on a busy machine that is a good deal later,
and the caller waits all the while. Time spent waiting for the rest of the request's body is the caller's, and
an answer that has begun, as an event stream does, may go on.
"""

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self, cast

from bookstore.orders.pipelines import OutOfTime
from bookstore.service.door import ARRIVED
from bookstore.service.problem import send_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

_TICK: Final = 0.001
"""Seconds by which a timer may ring early."""
_LONGEST: Final = 1.0
"""Seconds for which a request may have lain here at most. One that was sent ahead of the answer before it may
have lain for longer, through no fault of ours.
"""


def promising(seconds: float) -> "Callable[[ASGIApp], ASGIApp]":
    """Wraps an ASGI app so that each answer begins within `seconds` of its request's arrival."""

    def wrap(app: "ASGIApp") -> "ASGIApp":
        async def serve(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            request = _Request(seconds, scope, receive, send)
            try:
                with request:
                    await app(scope, request.receive, request.send)
            except TimeoutError:
                if request.begun or not request.over:
                    raise
                await send_problem(scope, send, OutOfTime())

        return serve

    return wrap


class _Request:
    """One request under its limit, which raises TimeoutError as `asyncio.timeout` does.

    It has one timer, however often it is held up: one that rings before the time is over is set again.
    """

    def __init__(self, seconds: float, scope: "HTTPScope", receive: "Receive", send: "Send") -> None:
        self.begun = False
        """Whether the answer has begun."""
        self.over = False
        """Whether its time was over before that."""
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._cancelled_before = self._task.cancelling()
        self._since_arrival = _since_arrival(cast("dict[str, Any]", scope))
        self._due = self._loop.time() + seconds - min(self._since_arrival(), _LONGEST)
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._due == inf:
            return  # the time of the caller's: the timer is set again when it is ours
        if self._due - self._loop.time() > _TICK:
            self._timer = self._loop.call_at(self._due, self._ring)
        else:
            self.over = True
            self._task.cancel()

    async def receive(self) -> Any:
        if self.begun or self.over:
            return await self._receive()
        began = self._loop.time()
        left, self._due = self._due - began, inf
        try:
            return await self._receive()
        finally:
            if not self.begun:
                now = self._loop.time()
                waited = now - began
                # What lay here when it had come was not waited for.
                self._due = now + left - (min(self._since_arrival(), waited) if waited > _TICK else 0.0)
                if self._timer is None:
                    self._timer = self._loop.call_at(self._due, self._ring)

    async def send(self, message: "Message") -> None:
        if not self.begun:
            if self.over:
                await asyncio.sleep(0)  # too late: here it is cut off
            self._end()
            self.begun = True
        await self._send(message)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._end()
        ours = self.over and self._task.uncancel() <= self._cancelled_before
        if ours and kind is asyncio.CancelledError:
            raise TimeoutError from error


def _since_arrival(scope: dict[str, Any]) -> "Callable[[], float]":
    """Tells how long ago the last of a request arrived; another server than ours doesn't know."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    return extensions.get(ARRIVED, lambda: 0.0)
