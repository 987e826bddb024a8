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

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

_Header: TypeAlias = tuple[bytes, bytes]

_SERVER_ERROR = 500
_CLIENT_GONE = 499
_ENDLESS = b"text/event-stream"
_OWN_HEADERS = frozenset({b"x-request-id", b"x-trace-id"})
_TOLD_OF_CALLER = frozenset({b"x-request-id", b"traceparent", b"tracestate", b"baggage"})


def _is_quiet(path: str) -> bool:
    return path in {"/metrics", "/metrics/", "/health"} or path.startswith("/health/")


class Seen:
    """A request that is being served, as it will be told of."""

    __slots__ = (
        "_ended", "method", "path", "quiet", "request", "route", "scheme", "started", "status", "version",
    )  # fmt: skip

    def __init__(
        self, request: context.RequestContext, method: str, path: str, scheme: str, version: str
    ) -> None:
        self.request = request
        self.method = method
        self.path = path
        self.scheme = scheme
        self.version = version
        self.route = ""
        self.status = 0
        """What was answered; 0 as long as nothing was."""
        self.quiet = _is_quiet(path)
        """Whether it isn't told of at all."""
        self.started = perf_counter()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        return (self._ended or perf_counter()) - self.started

    def answer(self, status: int, headers: "Iterable[_Header]") -> list[_Header]:
        """It is answered so; gives the headers with our own behind them."""
        self.status = status
        told: list[_Header] = []
        for header in headers:
            name = header[0]
            if name not in _OWN_HEADERS:
                told.append(header)
                if name == b"content-type" and _ENDLESS in header[1]:
                    self._ended = perf_counter()  # how long somebody watches says nothing about us
        request = self.request
        told.append((b"x-request-id", request.request_id.encode()))
        if request.trace_id:
            told.append((b"x-trace-id", request.trace_id.encode()))
        return told


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
        asked = cast("dict[str, Any]", scope)
        # The method as it was asked: the router serves a HEAD as a GET.
        seen = self.begin(
            asked["method"],
            asked["path"],
            asked["headers"],
            scheme=asked["scheme"],
            version=asked["http_version"],
        )
        await self.serve(seen, self._app, scope, receive, send)

    def begin(
        self,
        method: str,
        path: str,
        headers: "Iterable[_Header]",
        *,
        scheme: str = "http",
        version: str = "1.1",
    ) -> Seen:
        """A request has come. Whoever begins ends as well, once, by `serve` or by `end`."""
        tracer = self._tracer
        seen = Seen(_context(headers, traced=tracer is not None), method, path, scheme, version)
        if not seen.quiet:
            if tracer:
                serving(tracer, seen.request, method)
            if self._metrics:
                self._metrics.active += 1
        return seen

    async def serve(
        self, seen: Seen, app: "ASGIApp", scope: "Scope", receive: "Receive", send: "Send"
    ) -> None:
        """Have it answered by this app, and tell of it."""

        async def send_with_ids(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = seen.answer(message["status"], message["headers"])
            await send(message)

        token = context.current.set(seen.request)
        try:
            await app(scope, receive, send_with_ids)
            seen.status = seen.status or _CLIENT_GONE  # an app that answers nothing has nobody to answer
        finally:
            seen.route = cast("dict[str, Any]", scope).get("path_template") or ""
            self.end(seen)
            context.current.reset(token)

    def end(self, seen: Seen) -> None:
        """It is over: tell of it."""
        if seen.quiet:
            return
        status, seconds = seen.status or _SERVER_ERROR, seen.seconds
        span = cast("Span | None", seen.request.span)
        if span:
            served(
                span,
                seen.method,
                path=seen.path,
                scheme=seen.scheme,
                version=seen.version,
                route=seen.route,
                status=status,
            )
            span.end()
        handler = seen.route or UNMATCHED
        if self._metrics:
            self._metrics.active -= 1
            self._metrics.requests.observe(
                handler, seen.method, status, seconds, span.exemplar if span else None
            )
        if self._access_log:
            self._access_log.write(
                seen.request,
                method=seen.method,
                handler=handler,
                path=safe_path(seen.path),
                status=status,
                seconds=seconds,
            )

    def gone(self, seen: Seen) -> None:
        """The client has left without an answer."""
        seen.status = _CLIENT_GONE
        self.end(seen)


def _context(headers: "Iterable[tuple[bytes, bytes]]", *, traced: bool) -> context.RequestContext:
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _TOLD_OF_CALLER:
            # Two of this are none (W3C Trace Context, 3.2).
            told[name] = b"" if name == b"traceparent" and name in told else value
    return context.begin(
        request_id=told.get(b"x-request-id"),
        traceparent=told.get(b"traceparent"),
        tracestate=told.get(b"tracestate"),
        baggage=told.get(b"baggage"),
        traced=traced,
    )
