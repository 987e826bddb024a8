"""What policies decide, as events of the request that they decide about."""

from typing import TYPE_CHECKING, Final

from bookstore.resilience import Event
from bookstore.service.context import recording

if TYPE_CHECKING:
    from bookstore.service.otlp.encode import Value

_MEASURED: Final = frozenset({"attempt", "call"})
"""Kinds of events that have spans of their own, or are none of a trace's concern."""


def span_events(event: Event) -> None:
    """A sink for pipelines and policies: each retry, refusal, timeout, fallback, hedge shows in the trace.

    The names are those of `bookstore.resilience.otel.SpanSink`.
    """
    if event.kind in _MEASURED:
        return
    span = recording()
    if span is None:
        return
    told: dict[str, Value] = {
        "resilience.pipeline": event.name,
        "resilience.policy": event.policy,
        "resilience.attempt": event.attempt,
    }
    if event.verdict is not None:
        told["resilience.verdict"] = event.verdict
    for key, value in event.detail.items():
        if value is not None:
            told[f"resilience.{key}"] = value if isinstance(value, int | float) else str(value)
    span.event(f"resilience.{event.kind}", told)
