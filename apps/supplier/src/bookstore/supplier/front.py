"""What stands before the router: the hot path of /validate, and whatever the mode does to it and to /health.

Only requests that came through the door suffer; the control port never does. What is no order is refused in
every mode: that is the caller's fault, not the supplier's.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from bookstore.contracts.supplier import (
    AcceptThenReset,
    BadJson,
    Error,
    FailureMode,
    Flaky,
    HalfBody,
    Hang,
    Slow,
    Throttled,
    ValidationRequest,
)
from bookstore.service.body import decode
from bookstore.service.door import RESET
from bookstore.service.problem import Problem, send_problem
from bookstore.supplier.desk import Desk, Taken
from bookstore.supplier.switch import Switch

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

_JSON = (b"content-type", b"application/json")


class Reply(NamedTuple):
    """An answer that isn't sent yet."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Work: TypeAlias = Callable[[], Awaitable[Reply]]


class Front:
    """A plain ASGI app; what isn't its business goes to `own`."""

    def __init__(self, own: "ASGIApp", desk: Desk, switch: Switch, max_body: int) -> None:
        self._own = own
        self._desk = desk
        self._switch = switch
        self._max_body = max_body

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        told = cast("dict[str, Any]", scope)
        if scope["type"] == "http" and RESET in (told.get("extensions") or ()):
            path = told["path"].rstrip("/")
            try:
                if path == "/validate" and told["method"] == "POST":
                    told["path_template"] = "/validate"
                    taken = await self._take(told, receive)
                    await self._suffer(receive, send, partial(self._settle, taken), self._switch.draw)
                    return
                if path == "/health" and told["method"] in ("GET", "HEAD"):
                    # Its own draw: a probe must not change which calls a seed picks.
                    draw = partial(self._switch.draw, random.random)
                    await self._suffer(receive, send, partial(self._health, scope, receive), draw)
                    return
            except Problem as problem:
                await send_problem(scope, send, problem)
                return
        await self._own(scope, receive, send)

    async def _take(self, scope: dict[str, Any], receive: "Receive") -> Taken:
        """Read the order and count the call."""
        content_type, key = b"", None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"idempotency-key":
                key = value.decode("latin-1")
        if content_type.partition(b";")[0].strip().lower() != b"application/json":
            raise Problem(415, "unsupported-media-type", "send application/json")
        body = await self._body(receive)
        return self._desk.take(decode(body, ValidationRequest, "/validate"), key)

    async def _body(self, receive: "Receive") -> bytes:
        whole = b""
        while True:
            message = cast("dict[str, Any]", await receive())
            whole += message.get("body", b"")
            if self._max_body and len(whole) > self._max_body:
                raise Problem(413, "content-too-large", "the body is longer than this service takes")
            if not message.get("more_body"):
                return whole

    async def _settle(self, taken: Taken) -> Reply:
        answer = self._desk.settle(taken)
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        return Reply(200, [_JSON, *headers], answer.body)

    async def _health(self, scope: "Scope", receive: "Receive") -> Reply:
        """What the router says of the service's health."""
        status, headers, body = 500, list[tuple[bytes, bytes]](), b""

        async def keep(message: "Message") -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [each for each in message["headers"] if each[0] != b"content-length"]
            elif message["type"] == "http.response.body":
                body += message["body"]

        await self._own(scope, receive, keep)
        return Reply(status, headers, body)

    async def _suffer(
        self, receive: "Receive", send: "Send", work: Work, draw: Callable[[], FailureMode]
    ) -> None:
        """Do the work, and let the mode spoil it before or afterwards."""
        while isinstance(fault := draw(), Hang):
            if await _left(receive, self._switch.changed.wait()):
                return
        _refuse(fault)
        reply = await work()
        match fault:
            case AcceptThenReset():
                await cast("Any", send)({"type": RESET})
            case HalfBody():
                await _send(send, reply, reply.body[: len(reply.body) // 2])
            case BadJson():
                await _send(send, reply._replace(body=reply.body[:-1]))
            case Slow(delay=seconds):
                if not await _left(receive, asyncio.sleep(seconds)):
                    await _send(send, reply)
            case _:
                await _send(send, reply)


def _refuse(fault: FailureMode) -> None:
    """What is answered instead of doing anything."""
    match fault:
        case Error(code=code):
            raise Problem(code, "supplier-error", f"the supplier answers {code} because it was told to")
        case Flaky():
            raise Problem(500, "supplier-error", "the supplier answers 500 now and then")
        case Throttled(retry_after=seconds):
            headers = {"Retry-After": str(seconds)}
            raise Problem(429, "too-many-requests", "the supplier takes no more for now", headers=headers)
        case _:
            pass


async def _left(receive: "Receive", until: Awaitable[object]) -> bool:
    """Wait until something happens; True if the client left before."""
    gone = asyncio.ensure_future(_gone(receive))
    other = asyncio.ensure_future(until)
    try:
        await asyncio.wait({gone, other}, return_when=asyncio.FIRST_COMPLETED)
        return gone.done()
    finally:
        gone.cancel()
        other.cancel()


async def _gone(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: "Send", reply: Reply, part: bytes | None = None) -> None:
    """Send a reply; of its body only `part`, if that is given, though all of it is announced."""
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = reply.body if part is None else part
    await send({"type": "http.response.body", "body": body, "more_body": part is not None})
