"""The last traces. There is one bound, in bytes; what was longest without news goes first.

Spans are kept as encoded bytes, so that what is counted is what is there.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from bookstore.contracts.monitor import Trace, Traces, TraceSummary
from bookstore.monitor.traces.model import Kept, kept, summary, waterfall
from bookstore.service.otlp import ReceivedSpan

OVERHEAD: Final = 200
"""Bytes that a span or a trace costs beside its own."""
NEWS: Final = 50
"""Traces that are told of at a time."""
MOST_SPANS: Final = 500
"""Spans that are kept of one trace."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


class TraceMemory:
    """Keeps traces up to so many bytes. All of it is lost with the process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._traces: OrderedDict[str, list[bytes]] = OrderedDict()
        self._news: OrderedDict[str, None] = OrderedDict()
        self.bytes = 0
        self.dropped = 0
        """Spans that were refused or had no room."""

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, spans: Iterable[ReceivedSpan]) -> None:
        """Take spans, and let the oldest traces go if there is no room."""
        for span in spans:
            found = kept(span)
            trace = self._traces.setdefault(span.trace_id, []) if found else None
            if found is None or trace is None or len(trace) >= MOST_SPANS:
                self.dropped += 1
                continue
            encoded = _encode(found)
            trace.append(encoded)
            self._traces.move_to_end(span.trace_id)
            self._news[span.trace_id] = None
            self._news.move_to_end(span.trace_id)
            if len(self._news) > NEWS:
                self._news.popitem(last=False)
            self.bytes += len(encoded) + OVERHEAD * (1 + (len(trace) == 1))
            while self.bytes > self._limit:
                self._forget_one()

    def list(self, limit: int, *, service: str | None = None, errors: bool = False) -> Traces:
        """The last traces, the newest first."""
        found: list[TraceSummary] = []
        for trace_id in reversed(self._traces):
            if len(found) >= limit:
                break
            each = summary(trace_id, self._spans(trace_id))
            if (service is None or service in each.services) and (each.errors or not errors):
                found.append(each)
        return Traces(data=found, kept=len(self), bytes=self.bytes, dropped_spans=self.dropped)

    def news(self) -> Sequence[TraceSummary]:
        """Traces of which something has come since this was asked last, the newest last; a few of many."""
        fresh, self._news = self._news, OrderedDict()
        return [summary(each, self._spans(each)) for each in fresh if each in self._traces]

    def show(self, trace_id: str) -> Trace | None:
        """A trace, span by span."""
        return waterfall(trace_id, self._spans(trace_id)) if trace_id in self._traces else None

    def _spans(self, trace_id: str) -> Iterable[Kept]:
        return map(_decode, self._traces[trace_id])

    def _forget_one(self) -> None:
        _, spans = self._traces.popitem(last=False)
        self.bytes -= sum(map(len, spans)) + OVERHEAD * (len(spans) + 1)
