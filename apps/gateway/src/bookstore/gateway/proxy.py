"""The way through: a request to its service, the answer back, both as they come."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, cast

from bookstore.gateway.headers import to_client, to_service
from bookstore.gateway.path import BadPath, normalised
from bookstore.gateway.route import Route, Routes
from bookstore.service.problem import Problem, send_problem
from bookstore.service.upstream import Broken, ConnectFailed, Header, TimedOut, Upstream, UpstreamError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

_REFUSED = frozenset({"CONNECT", "TRACE"})
_ALLOW = {"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}
_WATCH_AFTER = 0.1
"""Seconds after which the client is watched for going away: most requests are over sooner and need none."""

logger = logging.getLogger(__name__)


class AnswerCutShort(Exception):
    """The service died in the middle of its answer: the client's connection ends without the answer's end."""


class _ClientGone(Exception):
    """Nobody is there to answer."""


class Proxy:
    """A plain ASGI app: routed paths go to their service, all others to `own`, the gateway's own app."""

    def __init__(
        self,
        own: "ASGIApp",
        routes: Routes,
        upstreams: Mapping[str, tuple[str, Upstream]],
        *,
        max_body: int,
        idle_timeout: float,
    ) -> None:
        self._own = own
        self._routes = routes
        self._upstreams = {name: (url.encode(), upstream) for name, (url, upstream) in upstreams.items()}
        self._max_body = max_body
        self._idle_timeout = idle_timeout

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        request = cast("dict[str, Any]", scope)
        if request["type"] != "http":
            await self._own(scope, receive, send)
            return
        try:
            path = _path(request)
            route = self._routes.match(path)
            if route is None:
                await self._own(scope, receive, send)
                return
            request["path_template"] = route.prefix
            length = _body_length(request["headers"], self._max_body)
            client = _Client(receive, length, self._max_body, self._idle_timeout)
            await self._pass(request, route, path, client, send)
        except Problem as problem:
            await send_problem(scope, send, problem)
        except _ClientGone:
            pass

    async def _pass(
        self, request: dict[str, Any], route: Route, path: bytes, client: "_Client", send: "Send"
    ) -> None:
        base_url, upstream = self._upstreams[route.upstream]
        query: bytes = request["query_string"]
        started = False
        try:
            call = upstream.stream(
                request["method"],
                path + b"?" + query if query else path,
                headers=to_service(request["headers"], client=request["client"][0], scheme=request["scheme"]),
                body=await client.body(),
                length=client.length,
            )
            async with call as answer:
                headers = to_client(answer.headers, base_url=base_url)
                started = True
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                last = b""
                async for chunk in answer:
                    if answer.ended:
                        last = chunk
                        break
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": last, "more_body": False})
        except asyncio.CancelledError:
            if not client.gone:
                raise
            cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()
        except (UpstreamError, Problem) as error:
            if isinstance(error, UpstreamError):
                logger.warning("a service failed", extra={"upstream": route.upstream, "cause": str(error)})
            if started:
                raise AnswerCutShort(str(error)) from error
            raise error if isinstance(error, Problem) else _problem(route.upstream, error) from error
        finally:
            client.leave()


class _Client:
    """The client's side of one exchange: gives its body in pieces, and ends the exchange if it goes away."""

    def __init__(self, receive: "Receive", length: int | None, max_body: int, idle_timeout: float) -> None:
        self._receive = receive
        self.length = length
        """How long the body is; None if it isn't said beforehand."""
        self._max_body = max_body
        self._idle_timeout = idle_timeout
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self.gone = False

    async def body(self) -> bytes | AsyncGenerator[bytes] | None:
        """The request's body: None if there is none, bytes if all of it is there already."""
        if self.length == 0:
            self._watch_soon()
            return None
        chunk, more = await self._next()
        if self.length is None or len(chunk) < self.length:
            return self._rest(chunk, more)
        self._watch_soon()
        return chunk

    async def _rest(self, chunk: bytes, more: bool) -> AsyncGenerator[bytes]:  # noqa: FBT001
        size = len(chunk)
        yield chunk
        while more:
            chunk, more = await self._next()
            size += len(chunk)
            if self._max_body and size > self._max_body:
                raise _too_long(self._max_body)
            yield chunk
        self._watch_soon()

    async def _next(self) -> tuple[bytes, bool]:
        try:
            async with asyncio.timeout(self._idle_timeout):
                message = cast("dict[str, Any]", await self._receive())
        except TimeoutError:
            raise Problem(408, "request-timeout", "the rest of the body did not come in time") from None
        if message["type"] == "http.disconnect":
            raise _ClientGone
        return message.get("body", b""), message.get("more_body", False)

    def _watch_soon(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER, self._start_watch)

    def _start_watch(self) -> None:
        self._watch = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        while cast("dict[str, Any]", await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task is not None:
            self._task.cancel()

    def leave(self) -> None:
        """The exchange is over: stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()


def _path(request: dict[str, Any]) -> bytes:
    if request["method"] in _REFUSED:
        raise Problem(405, "method-not-allowed", f"{request['method']} is not possible here", headers=_ALLOW)
    try:
        return normalised(request["raw_path"])
    except BadPath as error:
        raise Problem(400, "bad-path", str(error)) from None


def _body_length(headers: list[Header], max_body: int) -> int | None:
    """How long the request's body is: 0 without one, None if that isn't said beforehand."""
    length: int | None = 0
    hosts = 0
    for name, value in headers:
        if name == b"content-length" and length is not None:
            length = int(value)
        elif name == b"transfer-encoding":
            length = None
        elif name == b"host":
            hosts += 1
    if hosts > 1:
        raise Problem(400, "bad-request", "the request names more than one host")
    if max_body and length and length > max_body:
        raise _too_long(max_body)
    return length


def _too_long(max_body: int) -> Problem:
    return Problem(413, "content-too-large", f"the body is longer than {max_body} bytes")


def _problem(name: str, error: UpstreamError) -> Problem:
    # What exactly went wrong names addresses inside: the log has it.
    match error:
        case ConnectFailed():
            return Problem(503, "service-unavailable", f"the {name} service can't be reached")
        case TimedOut():
            return Problem(504, "gateway-timeout", f"the {name} service did not answer in time")
        case Broken() | _:
            return Problem(502, "bad-gateway", f"the {name} service broke off")
