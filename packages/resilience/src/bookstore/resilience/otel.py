"""Sinks for OpenTelemetry: events on the current span, and three instruments."""

from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
from opentelemetry.util.types import AttributeValue

from bookstore.resilience.events import Event
from bookstore.resilience.metrics import STATES, labels

_MEASURED: Final = frozenset({"attempt", "call"})
"""What happens in every call: a matter for metrics, and for spans of their own."""


class SpanSink:
    """Tells the span that is current what the policies decide around it.

    ```python
    books = Pipeline("books", Retry(), Breaker(), sinks=[SpanSink()])
    ```

    A retry, a refusal, a circuit that changes, a hedge, a fallback and the like become an event `resilience.`
    and its kind, such as `resilience.retry`. Its attributes are `resilience.pipeline`, `.policy`, `.attempt`,
    the verdict if there is one, and what the event says beside, such as `resilience.delay` or
    `resilience.error`. A call that goes well adds nothing, and a span that isn't recorded costs a look at it.
    """

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if event.kind in _MEASURED:
            return
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(f"resilience.{event.kind}", _attributes(event))


def _attributes(event: Event) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "resilience.pipeline": event.name,
        "resilience.policy": event.policy,
        "resilience.attempt": event.attempt,
    }
    if event.verdict is not None:
        attributes["resilience.verdict"] = event.verdict
    for key, value in event.detail.items():
        if value is not None:  # as a refusal's `retry_after`, where nobody can tell
            attributes[f"resilience.{key}"] = value if isinstance(value, int | float) else str(value)
    return attributes


class OtelSink:
    """Tells OpenTelemetry what happens, as metrics and, as `SpanSink` does, on the current span.

    ```python
    books = Pipeline("books", Retry(), Breaker(), sinks=[OtelSink()])
    ```

    Instruments: the counter `resilience.events` by kind, the histograms `resilience.attempt.duration` and
    `resilience.call.duration` in seconds, and the gauge `resilience.circuit.state` (0 closed, 1 half open, 2
    open).

    Args:
        meter: by default the global one, of the name `bookstore.resilience`.
    """

    def __init__(self, meter: Meter | None = None) -> None:
        meter = meter or metrics.get_meter("bookstore.resilience")
        self._events = meter.create_counter("resilience.events", description="What policies did")
        self._durations = {
            "attempt": meter.create_histogram(
                "resilience.attempt.duration", "s", "Tries, retried ones apart"
            ),
            "call": meter.create_histogram(
                "resilience.call.duration", "s", "Calls, with all that policies did"
            ),
        }
        self._state = meter.create_gauge(
            "resilience.circuit.state", description="0 closed, 1 half open, 2 open"
        )
        self._span = SpanSink()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        series = labels(event)
        duration = self._durations.get(event.kind)
        if duration is not None:
            duration.record(event.elapsed, {**series, "attempt": event.attempt})
            return
        self._events.add(1, {**series, "kind": event.kind})
        if event.kind == "transition":
            self._state.set(
                STATES.index(event.detail["to"]), {"pipeline": event.name, "policy": event.policy}
            )
        self._span(event)
