"""A sink for Prometheus."""

from collections.abc import Callable
from functools import partial
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from bookstore.resilience.breaker import Breaker
from bookstore.resilience.events import Event
from bookstore.resilience.metrics import STATES, labels
from bookstore.resilience.pipeline import Pipeline

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, from a cache's to a patient caller's."""

_LABELS = ("pipeline", "policy", "verdict")


class PrometheusSink:
    """Tells Prometheus what happens.

    Metrics: `resilience_events_total` by kind, the histograms `resilience_attempt_seconds` and
    `resilience_call_seconds`, and the gauge `resilience_circuit_state` (0 closed, 1 half open, 2 open). One
    sink serves any number of pipelines; two of them can't share a registry.

    Args:
        registry: where to register; by default the global one.
        prefix: what the names begin with, instead of `resilience`.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, prefix: str = "resilience") -> None:
        self._events = Counter(f"{prefix}_events", "What policies did", ("kind", *_LABELS), registry=registry)
        self._attempts = Histogram(
            f"{prefix}_attempt_seconds", "Tries", ("attempt", *_LABELS), registry=registry, buckets=BUCKETS
        )
        self._calls = Histogram(
            f"{prefix}_call_seconds", "Calls", _LABELS, registry=registry, buckets=BUCKETS
        )
        self._state = Gauge(
            f"{prefix}_circuit_state", "0 closed, 1 half open, 2 open", _LABELS[:2], registry=registry
        )
        self._known: dict[tuple[str, str, str, str | None, int], Callable[[float], None]] = {}

    def watch(self, pipeline: Pipeline) -> None:
        """Show a pipeline before anything happens: its calls and its circuits' events at 0.

        Its circuits are looked at when Prometheus asks: one that nobody calls shows as half open too.
        """
        for verdict in ("ok", "fail", "ignore"):
            self._calls.labels(pipeline.name, "pipeline", verdict)
        for policy in pipeline.policies:
            if isinstance(policy, Breaker):
                self._events.labels("rejected", pipeline.name, policy.label, "ignore")
                self._events.labels("transition", pipeline.name, policy.label, "")
                self._state.labels(pipeline.name, policy.label).set_function(partial(_number, policy))

    def __call__(self, event: Event) -> None:
        """Take one event."""
        key = (event.kind, event.name, event.policy, event.verdict, event.attempt)
        tell = self._known.get(key)
        if tell is None:
            tell = self._known[key] = self._teller(event)
        tell(event.elapsed)
        if event.kind == "transition":
            self._state.labels(event.name, event.policy).set(STATES.index(event.detail["to"]))

    def _teller(self, event: Event) -> Callable[[float], None]:
        """Tells of events like this one. Finding a series takes five times as long as changing it."""
        series = labels(event)
        if event.kind == "call":
            return self._calls.labels(**series).observe
        if event.kind == "attempt":
            return self._attempts.labels(attempt=str(event.attempt), **series).observe
        counter = self._events.labels(kind=event.kind, **series)
        return lambda _: counter.inc()


def _number(breaker: Breaker) -> float:
    return STATES.index(breaker.state)
