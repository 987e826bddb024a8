"""A sink for OpenTelemetry: three instruments, and events on the current span."""

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter

from bookstore.resilience.events import Event
from bookstore.resilience.metrics import STATES, labels


class OtelSink:
    """Tells OpenTelemetry what happens.

    ```python
    books = Pipeline("books", Retry(), Breaker(), sinks=[OtelSink()])
    ```

    Instruments: the counter `resilience.events` by kind, the histograms `resilience.attempt.duration` and
    `resilience.call.duration` in seconds, and the gauge `resilience.circuit.state` (0 closed, 1 half open, 2
    open). Everything but calls and attempts is an event on the span that is current, if it's recorded.

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
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(
                f"resilience.{event.kind}",
                {
                    **series,
                    "attempt": event.attempt,
                    **{key: str(value) for key, value in event.detail.items()},
                },
            )
