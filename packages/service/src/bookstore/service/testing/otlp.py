"""A receiver of traces, on a real socket: what a service sends is decoded from the bytes that came."""

import asyncio
import gzip
from asyncio import StreamWriter
from collections.abc import Callable
from time import monotonic, sleep
from typing import Literal

from bookstore.service.otlp import ReceivedSpan, decode
from bookstore.service.testing.peer import Peer, Request

_PATIENCE = 30.0

Manner = Literal["well", "frozen", "slow", "busy", "refusing"]


class Receiver(Peer):
    """Takes spans at `/v1/traces`, in the manner that a test wants.

    `frozen` takes a request and never answers, `slow` answers after a second, `busy` says 503, `refusing`
    says 400.
    """

    def __init__(self) -> None:
        self.manner: Manner = "well"
        self.requests: list[Request] = []
        self._known: list[ReceivedSpan] = []
        self._decoded = 0
        super().__init__()

    async def respond(self, request: Request, writer: StreamWriter) -> None:
        """Take one request."""
        if self.manner == "frozen":
            await asyncio.Event().wait()
        if self.manner == "slow":
            await asyncio.sleep(1.0)
        status = {"busy": b"503 Busy", "refusing": b"400 No"}.get(self.manner, b"200 OK")
        if status.startswith(b"200"):
            self.requests.append(request)
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % status)

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All that has come, in the order in which it came."""
        while self._decoded < len(self.requests):
            request = self.requests[self._decoded]
            body = request.body
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self._known += decode(body)
            self._decoded += 1
        return self._known

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        """The spans of one trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(
        self, condition: Callable[[list[ReceivedSpan]], bool], trace_id: str = ""
    ) -> list[ReceivedSpan]:
        """Wait until the spans, or those of one trace, are as they should be; gives them.

        Raises:
            TimeoutError: with what there is instead.
        """
        until = monotonic() + _PATIENCE
        while True:
            spans = self.trace(trace_id) if trace_id else [*self.spans]
            if condition(spans):
                return spans
            if monotonic() > until:
                raise TimeoutError(tree(spans))
            sleep(0.02)


def tree(spans: list[ReceivedSpan]) -> str:
    """Spans as a picture: each below its parent, `service: name`, with attempts, events and errors."""
    known = {span.span_id for span in spans}
    children: dict[str, list[ReceivedSpan]] = {}
    for span in sorted(spans, key=lambda span: span.started):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    lines: list[str] = []

    def draw(parent: str, depth: int) -> None:
        for span in children.get(parent, ()):
            error = f" !{span.attributes.get('error.type', '')}" if span.status == "ERROR" else ""
            events = "".join(f" *{event.name}" for event in span.events)
            lines.append(f"{'  ' * depth}{span.service}: {span.kind} {span.name}{error}{events}")
            draw(span.span_id, depth + 1)

    draw("", 0)
    return "\n".join(lines)
