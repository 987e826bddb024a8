"""The outermost layer of every service: ids, its span, metrics and the access log, in one pass round the app.

It stands outside the router, so that an unknown path is seen too; the route's template is read from the
scope after the app has run. Health and metrics routes are answered, but not counted, logged or traced.
"""

from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from bookstore.service import context
from bookstore.service.access import AccessLog
from bookstore.service.metrics import Metrics
from bookstore.service.requests import UNMATCHED
from bookstore.service.tracing import Span, Tracer
from bookstore.service.tracing.http import safe_path, served, serving

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

_Header: TypeAlias = tuple[bytes, bytes]

_SERVER_ERROR = 500
_CLIENT_GONE = 499
_ENDLESS = b"text/event-stream"
_OWN_HEADERS = frozenset({b"x-request-id", b"x-trace-id"})


def _is_quiet(path: str) -> bool:
    return path in {"/metrics", "/health"} or path.startswith("/health/")


class Telemetry:
    """Wraps an ASGI app; see the module. Metrics, access log and traces are each left out by giving None."""

    def __init__(
        self, app: "ASGIApp", metrics: Metrics | None, access_log: AccessLog | None, tracer: Tracer | None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log
        self._tracer = tracer

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request; anything else passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        method = scope["method"]  # as it was asked: the router serves a HEAD as a GET
        tracer = self._tracer
        request = _begin(scope["headers"], traced=tracer is not None)
        quiet = _is_quiet(scope["path"])
        if tracer and not quiet:
            serving(tracer, request, method)
        own_headers = [(b"x-request-id", request.request_id.encode())]
        if request.trace_id:
            own_headers.append((b"x-trace-id", request.trace_id.encode()))
        status = 0
        ended: float | None = None

        async def send_with_ids(message: "Message") -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                endless, message["headers"] = _told(message["headers"], own_headers)
                if endless:
                    ended = perf_counter()  # how long somebody watches says nothing about us
            await send(message)

        token = context.current.set(request)
        if self._metrics and not quiet:
            self._metrics.active += 1
        try:
            await self._app(scope, receive, send_with_ids)
            status = status or _CLIENT_GONE  # an app that answers nothing has nobody to answer
        finally:
            if not quiet:
                seconds = (ended or perf_counter()) - started
                self._tell(scope, method, request, status or _SERVER_ERROR, seconds)
            context.current.reset(token)

    def _tell(
        self, scope: "HTTPScope", method: str, request: context.RequestContext, status: int, seconds: float
    ) -> None:
        path = scope["path"]
        route = cast("dict[str, Any]", scope).get("path_template") or ""
        span = cast("Span | None", request.span)
        if span:
            served(
                span,
                method,
                path=path,
                scheme=scope["scheme"],
                version=scope["http_version"],
                route=route,
                status=status,
            )
            span.end()
        handler = route or UNMATCHED
        if self._metrics:
            self._metrics.active -= 1
            self._metrics.requests.observe(handler, method, status, seconds, span and span.exemplar)
        if self._access_log:
            self._access_log.write(
                request,
                method=method,
                handler=handler,
                path=safe_path(path),
                status=status,
                seconds=seconds,
            )


def _told(headers: "Iterable[_Header]", own: "list[_Header]") -> "tuple[bool, list[_Header]]":
    """Whether an answer has no end of its own, and its headers, with ours behind them."""
    endless = False
    told: list[_Header] = []
    for header in headers:
        if header[0] not in _OWN_HEADERS:
            told.append(header)
            if header[0] == b"content-type":
                endless = _ENDLESS in header[1]
    return endless, told + own


def _begin(headers: "Iterable[tuple[bytes, bytes]]", *, traced: bool) -> context.RequestContext:
    request_id = traceparent = tracestate = baggage = None
    for name, value in headers:
        if name == b"x-request-id":
            request_id = value
        elif name == b"traceparent":
            traceparent = value
        elif name == b"tracestate":
            tracestate = value
        elif name == b"baggage":
            baggage = value
    return context.begin(
        request_id=request_id,
        traceparent=traceparent,
        tracestate=tracestate,
        baggage=baggage,
        traced=traced,
    )
