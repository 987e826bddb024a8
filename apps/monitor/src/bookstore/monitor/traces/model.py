"""From what was received to what is kept and shown. Rules only: whoever sent it may be a stranger."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from bookstore.contracts.monitor import Trace, TraceEvent, TraceSpan, TraceSummary
from bookstore.service.otlp import ReceivedSpan

LONGEST: Final = 256
"""Characters of a text that are kept."""
_MOST_ATTRIBUTES, _MOST_EVENTS = 32, 16
_LATEST: Final = 4_102_444_800_000_000_000
"""The year 2100, in nanoseconds: who says later has no clock."""
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A span as it is kept: what is shown of it, without what only the whole trace can tell."""

    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    started: int
    ended: int
    error: bool
    attributes: dict[str, str]
    events: list[tuple[str, int, dict[str, str]]]
    links: list[str]


def is_trace_id(text: str) -> bool:
    """Whether a trace can be called that."""
    return _TRACE_ID.fullmatch(text) is not None and text.strip("0") != ""


def kept(span: ReceivedSpan) -> Kept | None:
    """What is kept of a span; nothing of one whose ids or times can't be."""
    sound = is_trace_id(span.trace_id) and _SPAN_ID.fullmatch(span.span_id) is not None
    if not sound or not _is_time(span.started) or not _is_time(span.ended) or span.ended < span.started:
        return None
    return Kept(
        span_id=span.span_id,
        parent_id=span.parent_id if _SPAN_ID.fullmatch(span.parent_id) else "",
        name=span.name[:LONGEST],
        kind=span.kind,
        service=span.service[:LONGEST],
        started=span.started,
        ended=span.ended,
        error=span.status == "ERROR",
        attributes=_texts(span.attributes),
        events=[
            (event.name[:LONGEST], event.time, _texts(event.attributes))
            for event in span.events[:_MOST_EVENTS]
            if _is_time(event.time)
        ],
        links=[link.trace_id for link in span.links[:_MOST_EVENTS] if is_trace_id(link.trace_id)],
    )


def summary(trace_id: str, spans: Iterable[Kept]) -> TraceSummary:
    """A trace in a line."""
    ordered = sorted(spans, key=lambda span: span.started)
    known = {span.span_id for span in ordered}
    first = next((span for span in ordered if span.parent_id not in known), ordered[0])
    return TraceSummary(
        trace_id=trace_id,
        name=first.name,
        service=first.service,
        started_at=_when(ordered[0].started),
        duration_ms=_ms(max(span.ended for span in ordered) - ordered[0].started),
        spans=len(ordered),
        services=sorted({span.service for span in ordered}),
        errors=sum(span.error for span in ordered),
    )


def waterfall(trace_id: str, spans: Iterable[Kept]) -> Trace:
    """A trace, span by span."""
    ordered = sorted(spans, key=lambda span: (span.started, -span.ended))
    began = ordered[0].started
    return Trace(
        summary=summary(trace_id, ordered),
        spans=[
            TraceSpan(
                span_id=span.span_id,
                parent_id=span.parent_id,
                name=span.name,
                kind=span.kind,
                service=span.service,
                started_at=_when(span.started),
                offset_ms=_ms(span.started - began),
                duration_ms=_ms(span.ended - span.started),
                error=span.error,
                attributes=span.attributes,
                events=[
                    TraceEvent(name=name, offset_ms=_ms(at - began), attributes=attributes)
                    for name, at, attributes in span.events
                ],
                links=span.links,
            )
            for span in ordered
        ],
    )


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {key[:LONGEST]: str(value)[:LONGEST] for key, value in [*attributes.items()][:_MOST_ATTRIBUTES]}


def _is_time(value: object) -> bool:
    return isinstance(value, int) and 0 < value < _LATEST


def _when(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)
