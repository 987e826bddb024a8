"""The request that is being served: its id and its place in a trace, for logs, problems and calls onwards."""

import os
import re
from contextvars import ContextVar

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MOST = 512
"""Bytes of `tracestate` that anybody has to pass on."""
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class RequestContext:
    """Who asked, in three ids; `trace_id` is empty where traces are off."""

    __slots__ = ("flags", "request_id", "span_id", "trace_id", "tracestate")

    def __init__(self, request_id: str, trace_id: str = "", span_id: str = "", flags: str = "01") -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.tracestate = ""


current: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def begin(
    *, request_id: bytes | None, traceparent: bytes | None, tracestate: bytes | None, traced: bool
) -> RequestContext:
    """Take over the caller's ids where they are sane, and make new ones where they are not."""
    if request_id is not None and _SANE_ID.fullmatch(request_id):
        context = RequestContext(request_id.decode())
    else:
        context = RequestContext(os.urandom(16).hex())
    if traced:
        context.span_id = os.urandom(8).hex()
        parent = _parse(traceparent)
        if parent is None:
            context.trace_id = os.urandom(16).hex()
        else:
            context.trace_id, context.flags = parent
            context.tracestate = (
                tracestate.decode("latin-1") if tracestate and len(tracestate) <= _MOST else ""
            )
    return context


def _parse(traceparent: bytes | None) -> tuple[str, str] | None:
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None or match[1] == b"ff" or (match[1] == b"00" and match[5]):
        return None
    trace_id, span_id = match[2].decode(), match[3].decode()
    return None if trace_id == _NO_TRACE or span_id == _NO_SPAN else (trace_id, match[4].decode())


def outgoing_headers() -> list[tuple[str, str]]:
    """What a call to another service carries, so that both ends tell the same story."""
    context = current.get()
    if context is None:
        return []
    headers = [("x-request-id", context.request_id)]
    if context.trace_id:
        headers.append(("traceparent", f"00-{context.trace_id}-{context.span_id}-{context.flags}"))
        if context.tracestate:
            headers.append(("tracestate", context.tracestate))
    return headers
