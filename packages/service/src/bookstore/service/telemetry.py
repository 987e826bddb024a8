"""The outermost layer of every service: ids, metrics and the access log, in one pass round the app.

It stands outside the router, so that an unknown path is seen too; the route's template is read from the
scope after the app has run. Health and metrics routes are answered, but neither counted nor logged.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from bookstore.service import context
from bookstore.service.access import AccessLog
from bookstore.service.metrics import UNMATCHED, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

_SERVER_ERROR = 500
_ENDLESS = b"text/event-stream"
_OWN_HEADERS = frozenset({b"x-request-id", b"x-trace-id"})


def _is_quiet(path: str) -> bool:
    return path in {"/metrics", "/health"} or path.startswith("/health/")


class Telemetry:
    """Wraps an ASGI app; see the module. Metrics and the access log are each left out by giving None."""

    def __init__(
        self, app: "ASGIApp", metrics: Metrics | None, access_log: AccessLog | None, *, traced: bool
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log
        self._traced = traced

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request; anything else passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request = _begin(scope["headers"], traced=self._traced)
        own_headers = [(b"x-request-id", request.request_id.encode())]
        if request.trace_id:
            own_headers.append((b"x-trace-id", request.trace_id.encode()))
        status = _SERVER_ERROR
        ended: float | None = None

        async def send_with_ids(message: "Message") -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                if any(name == b"content-type" and _ENDLESS in value for name, value in message["headers"]):
                    ended = perf_counter()  # how long somebody watches says nothing about us
                kept = [header for header in message["headers"] if header[0] not in _OWN_HEADERS]
                message["headers"] = [*kept, *own_headers]
            await send(message)

        method: str = scope["method"]
        token = context.current.set(request)
        quiet = _is_quiet(scope["path"])
        if self._metrics and not quiet:
            self._metrics.active += 1
        try:
            await self._app(scope, receive, send_with_ids)
        finally:
            if not quiet:
                handler = cast("dict[str, Any]", scope).get("path_template") or UNMATCHED
                seconds = (ended or perf_counter()) - started
                if self._metrics:
                    self._metrics.active -= 1
                    self._metrics.observe(handler, method, status, seconds, _exemplar(request))
                if self._access_log:
                    self._access_log.write(
                        request,
                        method=method,
                        handler=handler,
                        path=scope["path"],
                        status=status,
                        seconds=seconds,
                    )
            context.current.reset(token)


def _exemplar(request: context.RequestContext) -> dict[str, str] | None:
    """The trace of a request, if it is one that is kept: an exemplar must lead somewhere."""
    kept = request.trace_id and int(request.flags, 16) & 1
    return {"trace_id": request.trace_id} if kept else None


def _begin(headers: "Iterable[tuple[bytes, bytes]]", *, traced: bool) -> context.RequestContext:
    request_id = traceparent = tracestate = None
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"traceparent":
            traceparent = value
        elif name == b"tracestate":
            tracestate = value
    return context.begin(request_id=request_id, traceparent=traceparent, tracestate=tracestate, traced=traced)
