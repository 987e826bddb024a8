"""The outermost layer of every service: ids, metrics and the access log, in one pass round the app.

It stands outside the router, so that an unknown path is seen too; the route's template is read from the
scope after the app has run. Health and metrics routes are answered, but neither counted nor logged.
"""

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from bookstore.service import context
from bookstore.service.metrics import UNMATCHED, Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

logger = logging.getLogger("access")

_SERVER_ERROR = 500
_OWN_HEADERS = frozenset({b"x-request-id", b"x-trace-id"})


def _is_quiet(path: str) -> bool:
    return path in {"/metrics", "/health"} or path.startswith("/health/")


class Telemetry:
    """Wraps an ASGI app; see the module."""

    def __init__(self, app: "ASGIApp", metrics: Metrics | None, *, traced: bool, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._traced = traced
        self._access_log = access_log

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

        async def send_with_ids(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = [header for header in message["headers"] if header[0] not in _OWN_HEADERS]
                message["headers"] = [*kept, *own_headers]
            await send(message)

        method: str = scope["method"]
        if method == "HEAD":
            # A HEAD is a GET whose body the server leaves out: routes need to know only GET.
            cast("dict[str, Any]", scope)["method"] = "GET"
        token = context.current.set(request)
        try:
            await self._app(scope, receive, send_with_ids)
        finally:
            if not _is_quiet(scope["path"]):
                self._record(scope, method, status, perf_counter() - started)
            context.current.reset(token)

    def _record(self, scope: "HTTPScope", method: str, status: int, elapsed: float) -> None:
        handler = cast("dict[str, Any]", scope).get("path_template") or UNMATCHED
        if self._metrics:
            self._metrics.observe(handler, method, status, elapsed)
        if self._access_log:
            logger.info(
                "request",
                extra={
                    "method": method,
                    "handler": handler,
                    "path": scope["path"],
                    "status": status,
                    "duration_ms": round(elapsed * 1000, 3),
                },
            )


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
