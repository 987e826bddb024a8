"""The request that is being served: its id and its place in a trace, for logs, problems and calls onwards."""

import re
from contextvars import ContextVar
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bookstore.service.tracing.span import Recording

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MOST = 512
"""Bytes of `tracestate` that anybody has to pass on."""
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_BAGGAGE = re.compile(r"(session\.id|scenario)\s*=\s*([A-Za-z0-9._-]{1,64})\s*(?:;.*)?")
"""What is passed on of the caller's baggage: anything else may be anything, a person's name for one."""
_LONGEST_BAGGAGE = 8192
_chance: Final = Random()  # noqa: S311 - ids have to differ, not to be secret


class RequestContext:
    """Who asked, in three ids; `trace_id` is empty where traces are off."""

    __slots__ = ("baggage", "flags", "parent_id", "request_id", "span", "span_id", "trace_id", "tracestate")

    def __init__(self, request_id: str, trace_id: str = "", span_id: str = "", flags: str = "01") -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = ""
        """The caller's span; empty if the trace begins here."""
        self.flags = flags
        self.tracestate = ""
        self.baggage = ""
        self.span: Recording | None = None
        """What is recorded of it, if it is."""

    def recorded_in(self, span: "Recording | None") -> "RequestContext":
        """The same request, recorded there."""
        other = RequestContext(self.request_id, self.trace_id, self.span_id, self.flags)
        other.parent_id = self.parent_id
        other.tracestate = self.tracestate
        other.baggage = self.baggage
        other.span = span
        return other

    @property
    def traceparent(self) -> str:
        """What a call carries that is made for this request, where no span of its own is recorded."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


current: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


def recording() -> "Recording | None":
    """The span of the request that is being served, if it is recorded."""
    context = current.get()
    return None if context is None else context.span


def new_trace_id() -> str:
    """An id for a trace."""
    return _digits(16)


def new_span_id() -> str:
    """An id for a span."""
    return _digits(8)


def _digits(count: int) -> str:
    """So many bytes by chance. That all of them are 0, which no id may be, will not be seen by anybody."""
    return _chance.getrandbits(8 * count).to_bytes(count).hex()


def begin(
    *,
    request_id: bytes | None,
    traceparent: bytes | None,
    tracestate: bytes | None,
    baggage: bytes | None = None,
    traced: bool,
) -> RequestContext:
    """Take over the caller's ids where they are sane, and make new ones where they are not."""
    ids = _digits(40)  # one draw for all three
    if request_id is not None and _SANE_ID.fullmatch(request_id):
        context = RequestContext(request_id.decode())
    else:
        context = RequestContext(ids[:32])
    if traced:
        context.span_id = ids[32:48]
        parent = parse(traceparent)
        if parent is None:
            context.trace_id = ids[48:]
        else:
            context.trace_id, context.parent_id, context.flags = parent
            context.tracestate = (
                tracestate.decode("latin-1") if tracestate and len(tracestate) <= _MOST else ""
            )
        if baggage:
            context.baggage = _sane_baggage(baggage)
    return context


def parse(traceparent: bytes | None) -> tuple[str, str, str] | None:
    """Trace, span and flags that a `traceparent` names; None if there is nothing sane in it."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None or match[1] == b"ff" or (match[1] == b"00" and match[5]):
        return None
    trace_id, span_id = match[2].decode(), match[3].decode()
    return None if trace_id == _NO_TRACE or span_id == _NO_SPAN else (trace_id, span_id, match[4].decode())


def _sane_baggage(baggage: bytes) -> str:
    pairs = baggage[:_LONGEST_BAGGAGE].decode("latin-1").split(",")
    found = (_BAGGAGE.fullmatch(pair.strip()) for pair in pairs)
    kept = {str(match[1]): str(match[2]) for match in found if match}
    return ",".join(f"{key}={value}" for key, value in kept.items())


def outgoing_headers() -> list[tuple[bytes, bytes]]:
    """What a call to another service carries, so that both ends tell the same story."""
    context = current.get()
    if context is None:
        return []
    headers = [(b"x-request-id", context.request_id.encode())]
    if context.trace_id:
        headers.append((b"traceparent", context.traceparent.encode()))
        if context.tracestate:
            headers.append((b"tracestate", context.tracestate.encode("latin-1")))
        if context.baggage:
            headers.append((b"baggage", context.baggage.encode()))
    return headers
