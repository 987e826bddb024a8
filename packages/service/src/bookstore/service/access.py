"""The access log: a JSON line for each request, written in bulk: one by one costs more than an answer.

Lines wait up to `_DELAY` seconds. A process that is killed loses those; one that ends in order doesn't.
"""

import asyncio
import sys
from datetime import UTC, datetime

import msgspec

from bookstore.service.context import RequestContext

_DELAY = 0.05
_encoder = msgspec.json.Encoder()


class _Line(msgspec.Struct, kw_only=True):
    timestamp: datetime
    level: str = "INFO"
    service: str
    instance: str
    logger: str = "access"
    message: str = "request"
    request_id: str
    trace_id: str
    span_id: str
    method: str
    handler: str
    path: str
    status: int
    duration_ms: float


class AccessLog:
    """Writes to standard output beside the other logs."""

    def __init__(self, service: str, instance: str) -> None:
        self._service = service
        self._instance = instance
        self._buffer = bytearray()

    def write(
        self, request: RequestContext, *, method: str, handler: str, path: str, status: int, seconds: float
    ) -> None:
        """Note one answered request."""
        if not self._buffer:
            asyncio.get_running_loop().call_later(_DELAY, self.flush)
        self._buffer += _encoder.encode(
            _Line(
                timestamp=datetime.now(UTC),
                service=self._service,
                instance=self._instance,
                request_id=request.request_id,
                trace_id=request.trace_id,
                span_id=request.span_id,
                method=method,
                handler=handler,
                path=path,
                status=status,
                duration_ms=round(seconds * 1000, 3),
            )
        )
        self._buffer += b"\n"

    def flush(self) -> None:
        """Write what waits."""
        lines, self._buffer = self._buffer, bytearray()
        if lines:
            sys.stdout.write(lines.decode())
            sys.stdout.flush()
