"""The way past the router, for the few handlers that are called most.

For each request a router looks up, takes apart and wraps what can be known beforehand of a path without
parameters, and that costs more than many a handler. Here the same function is called, after the same hook,
with a body that the same code has read, and what it raises is answered in the same way. Whatever is unusual
about a request is left to the router.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from bookstore.service.body import StrictRequest, client_gone, decode
from bookstore.service.problem import answer_to

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_LENGTH: Final = re.compile(rb"[1-9][0-9]{0,8}")
Refuse: TypeAlias = "Callable[[Exception], ASGIApp]"
"""Makes of an error the app that answers with it."""

_OWN: Final = frozenset({"request", "data"})
"""What a handler gets beside the app's own objects."""


def is_usual(told: Mapping[bytes, bytes], most: float) -> bool:
    """Whether nothing is unusual about a request with these headers, each of which it has once.

    It brings plain JSON of a known length, and names a host that can be one.
    """
    length = told.get(b"content-length", b"")
    return (
        told.get(b"content-type") == b"application/json"
        and _LENGTH.fullmatch(length) is not None
        and int(length) <= most
        and _HOST.fullmatch(told.get(b"host", b"")) is not None
        and b"transfer-encoding" not in told
        and b"content-encoding" not in told
    )


def refusing(router: Litestar, error: Exception) -> "ASGIApp":
    """An app that answers with what the router answers to this error."""

    async def refuse(scope: "Scope", receive: "Receive", send: "Send") -> None:
        asked = cast("dict[str, Any]", scope)
        asked.update(app=router, litestar_app=router, path_template=asked["path"], path_params={}, state={})
        answer = answer_to(StrictRequest(cast("Any", scope), receive, send), error)
        await _send(answer, answer.status_code or 500, cast("Any", send))

    return refuse


class Shortcut:
    """A plain ASGI app: calls its handlers itself, and leaves everything else to the router.

    Args:
        router: Has these handlers too.
        handlers: Coroutine functions of fixed paths that take a body, as they were given to the router.
        objects: What they may ask for by name.

    Raises:
        TypeError: for a handler that can't do without the router.
    """

    def __init__(
        self, router: Litestar, handlers: Iterable[HTTPRouteHandler], objects: Mapping[str, Any]
    ) -> None:
        functions = {handler.fn for handler in handlers}
        self._router: ASGIApp = router
        self._stops = {
            (str(method), route.path): _Stop(router, route, handler, objects)
            for route in router.routes
            if isinstance(route, HTTPRoute)
            for method, (handler, _) in route.route_handler_map.items()
            if handler.fn in functions
        }

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        stop = self._stops.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if stop is not None and stop.takes(cast("dict[str, Any]", scope)):
            await stop.serve(cast("dict[str, Any]", scope), receive, send)
        else:
            await self._router(scope, receive, send)


class _Stop:
    """One handler, with all that the router looks up for it at each request."""

    def __init__(
        self, router: Litestar, route: HTTPRoute, handler: HTTPRouteHandler, objects: Mapping[str, Any]
    ) -> None:
        self._handler = handler
        self._function: Callable[..., Any] = handler.fn
        self._before = handler.resolve_before_request()
        self._most = handler.resolve_request_max_body_size() or float("inf")
        asked = inspect.signature(self._function).parameters
        self._given = {name: objects[name] for name in asked if name in objects}
        self._wants_request = "request" in asked
        data = handler.parsed_data_field
        if data is None or route.path_parameters or not inspect.iscoroutinefunction(self._function):
            raise TypeError(f"{handler} takes no body, or has a path with parameters, or is no coroutine")
        for name in asked:
            if name not in {*self._given, *_OWN} and not name.startswith("_"):  # those are only described
                raise TypeError(f"{handler} wants {name}, which only the router finds")
        self._kind: Any = data.annotation
        self._seen = {
            "app": router,
            "litestar_app": router,
            "route_handler": handler,
            "path_template": route.path_format,
        }

    def takes(self, scope: dict[str, Any]) -> bool:
        """Whether nothing about the head of a request is unusual."""
        if scope["query_string"]:
            return False
        told = dict(scope["headers"])
        return len(told) == len(scope["headers"]) and is_usual(told, self._most)

    async def serve(self, scope: dict[str, Any], receive: "Receive", send: "Send") -> None:
        """Call the handler, and send what it answers."""
        scope.update(self._seen, path_params={})
        scope.setdefault("state", {})
        request = StrictRequest(cast("Any", scope), receive, send)
        try:
            answer = await self._asked(request, scope["path"])
        except Exception as error:  # noqa: BLE001 - there is an answer to each
            answer = answer_to(request, error)
        if isinstance(answer, Response) and _is_plain(cast("Response[Any]", answer)):
            await _send(cast("Response[bytes]", answer), self._handler.status_code, cast("Any", send))
        else:
            handler = cast("Any", self._handler)
            rendered = await handler.to_response(app=request.app, data=answer, request=request)
            await rendered(scope, receive, send)

    async def _asked(self, request: StrictRequest, path: str) -> Any:
        if self._before:
            await cast("Any", self._before(request))
        body = await _whole(cast("Any", request.receive))
        given = {**self._given, "data": decode(body, self._kind, path)}
        if self._wants_request:
            given["request"] = request
        return await self._function(**given)


async def _whole(receive: Callable[[], Any]) -> bytes:
    """A body; the server sees to it that it has the length that was announced."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise client_gone()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body


def _is_plain(answer: Response[Any]) -> bool:
    """Whether there is nothing to be rendered, and nothing to be done after it."""
    return isinstance(answer.content, bytes) and not (answer.cookies or answer.background)


async def _send(answer: Response[bytes], status: int, send: Callable[[dict[str, Any]], Any]) -> None:
    given = answer.headers.items()
    headers = [
        *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given),
        (b"content-type", str(answer.media_type or "application/json").encode()),
        (b"content-length", b"%d" % len(answer.content)),
    ]
    start = {"type": "http.response.start", "status": answer.status_code or status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.content, "more_body": False})
