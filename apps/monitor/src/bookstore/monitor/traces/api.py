"""Traces over HTTP: taken as OTLP, told as JSON."""

import asyncio
import zlib
from typing import Annotated

from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter

from bookstore.contracts.monitor import Trace, Traces
from bookstore.monitor.traces.census import TooMuch, examine
from bookstore.monitor.traces.memory import TraceMemory
from bookstore.monitor.traces.model import is_trace_id
from bookstore.service.docs import problems
from bookstore.service.otlp import Malformed, ReceivedSpan, decode
from bookstore.service.problem import Asked, Problem
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only, services_only

LONGEST = 4_194_304
"""Bytes of one request, unpacked."""
MOST_FIELDS = 100_000

REFUSED = (Malformed, TooMuch, OverflowError, TypeError, zlib.error)
"""What comes of bytes that are no OTLP."""

_PROTOBUF = "application/x-protobuf"
_GZIP = 31

Most = Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")]
Name = Annotated[str | None, QueryParameter(description="Leave out traces that this service is no part of.")]
Errors = Annotated[bool, QueryParameter(description="Leave out traces in which nothing failed.")]


@post("/v1/traces", status_code=200, tags=["traces"], before_request=services_only, include_in_schema=False)
async def take_spans(request: Asked, traces: Given[TraceMemory]) -> Response[bytes]:
    """Take spans as OTLP over HTTP (protobuf)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _PROTOBUF:
        raise Problem(415, "unsupported-media-type", f"spans are taken as {_PROTOBUF}")
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    try:
        traces.add(await asyncio.to_thread(_unpacked, await request.body(), packed))
    except REFUSED as error:
        raise Problem(400, "malformed-spans", "this is no OTLP, or too much of it at once") from error
    return Response(b"", media_type=_PROTOBUF)


@get("/v2/monitor/traces", tags=["traces"], before_request=ops_only)
async def list_traces(
    *, traces: Given[TraceMemory], limit: Most = 50, service: Name = None, errors: Errors = False
) -> Traces:
    """The last traces, the newest first."""
    return traces.list(limit, service=service, errors=errors)


@get("/v2/monitor/traces/{trace_id:str}", tags=["traces"], before_request=ops_only, responses=problems(404))
async def show_trace(trace_id: FromPath[str], traces: Given[TraceMemory]) -> Trace:
    """One trace, span by span in the order of time."""
    found = traces.show(trace_id) if is_trace_id(trace_id) else None
    if found is None:
        raise Problem(404, "not-found", "there is no such trace here, or not any more")
    return found


def _unpacked(body: bytes, packed: str) -> list[ReceivedSpan]:
    if packed == "gzip":
        unpacking = zlib.decompressobj(_GZIP)
        body = unpacking.decompress(body, LONGEST)
        if not unpacking.eof:
            raise TooMuch("it is cut off, or longer than it may be")
    elif packed != "identity":
        raise TooMuch("packed in a way that isn't known")
    examine(body, MOST_FIELDS)
    return decode(body)


handlers = [take_spans, list_traces, show_trace]
