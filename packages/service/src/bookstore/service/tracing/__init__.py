"""Traces: what a request did, where and for how long, sent as OTLP to whoever the settings name.

A span is begun by what it stands for: `telemetry` for a request that is served, `upstream` for a call,
`database` for a statement, `queue` for a message. All of them ask whether the request that is being served is
recorded, and do nothing if it isn't. Why that is not OpenTelemetry's own SDK is told in
docs/decisions/0023-traces-of-our-own.md.
"""

from bookstore.service.tracing.events import span_events
from bookstore.service.tracing.span import Span
from bookstore.service.tracing.tracer import Tracer

__all__ = ["Span", "Tracer", "span_events"]
