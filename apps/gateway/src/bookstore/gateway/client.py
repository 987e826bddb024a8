"""The client's side of one exchange: gives its body in pieces, and ends the exchange if it goes away."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

from bookstore.service.problem import Problem

if TYPE_CHECKING:
    from litestar.types import Receive

_WATCH_AFTER = 0.1
"""Seconds after which the client is watched for going away: most requests are over sooner and need none."""
_ROUND = 0.05
"""Seconds from one look at who is to be watched to the next: a timer for each request would cost more."""
_SLOWEST = 500
"""Bytes a second that a body must bring, after a first grace: who sends less keeps a place for nothing."""


class ClientGone(Exception):
    """Nobody is there to answer."""


class Watch:
    """Looks after those whose requests take longer than most, in rounds."""

    def __init__(self) -> None:
        self._soon: deque[tuple[float, Client]] = deque()

    def add(self, client: "Client") -> None:
        """Look after this one in a moment, if it is still there then."""
        loop = asyncio.get_running_loop()
        self._soon.append((loop.time() + _WATCH_AFTER, client))
        if len(self._soon) == 1:
            loop.call_later(_WATCH_AFTER, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._soon and self._soon[0][0] <= now:
            self._soon.popleft()[1].watch()
        if self._soon:
            loop.call_later(_ROUND, self._look, loop)


class Client:
    """Whoever sent the request that this task serves.

    Args:
        receive: What ASGI gives.
        length: How long the body is; None if that isn't said beforehand.
        max_body: How long it may be; 0 for as long as it likes.
        idle_timeout: Seconds that it may stand still.
        watch: Has an eye on it when its body is there.
    """

    def __init__(
        self, receive: "Receive", length: int | None, max_body: int, idle_timeout: float, watch: Watch
    ) -> None:
        self._receive = receive
        self.length = length
        self._max_body = max_body
        self._idle_timeout = idle_timeout
        self._task = asyncio.current_task()
        self._watch = watch
        self._watcher: asyncio.Task[None] | None = None
        self._left = False
        self._size = 0
        self._waited = 0.0
        self.gone = False

    async def body(self, *, keep: int = 0) -> bytes | AsyncGenerator[bytes] | None:
        """The request's body: None if there is none, bytes if all of it is there, else its pieces.

        Args:
            keep: A body of so many bytes at most is waited for as a whole, so that it can be sent again; a
                longer one comes in pieces, even if all of it is there.

        Raises:
            Problem: 413 if it is too long, 408 if it doesn't come.
            ClientGone: the client has left.
        """
        length = self.length
        if self._max_body and length and length > self._max_body:
            raise _too_long(self._max_body)
        if length == 0:
            self._watch.add(self)
            return None
        chunk, more = await self._next()
        while more and length is not None and len(chunk) < length <= keep:
            piece, more = await self._next()
            chunk += piece
        if length is None or len(chunk) < length or len(chunk) > keep > 0:
            return self._rest(chunk, more)
        self._watch.add(self)
        return chunk

    def leave(self) -> None:
        """The exchange is over: stop watching."""
        self._left = True
        if self._watcher is not None:
            self._watcher.cancel()

    def watch(self) -> None:
        """Notice from now on that it goes away."""
        if not self._left:
            self._watcher = asyncio.ensure_future(self._until_gone())

    async def _rest(self, chunk: bytes, more: bool) -> AsyncGenerator[bytes]:  # noqa: FBT001
        yield chunk
        while more:
            chunk, more = await self._next()
            if self._max_body and self._size > self._max_body:
                raise _too_long(self._max_body)
            yield chunk
        self._watch.add(self)

    async def _next(self) -> tuple[bytes, bool]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        patience = min(self._idle_timeout, self._idle_timeout + self._size / _SLOWEST - self._waited)
        try:
            async with asyncio.timeout(patience):
                message = cast("dict[str, Any]", await self._receive())
        except TimeoutError:
            raise Problem(408, "request-timeout", "the rest of the body did not come in time") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        self._size += len(chunk)
        self._waited += loop.time() - began
        return chunk, message.get("more_body", False)

    async def _until_gone(self) -> None:
        while cast("dict[str, Any]", await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task is not None:
            self._task.cancel()


def _too_long(max_body: int) -> Problem:
    return Problem(413, "content-too-large", f"the body is longer than {max_body} bytes")
