"""What became of spans, in numbers."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bookstore.service.tracing.tracer import Tracer

_OUTCOMES: Final = ("sent", "dropped", "refused")


class SpanMetrics(Collector):
    """Reads the exporter's counts when somebody asks; all are 0 where nothing is sent."""

    def __init__(self, tracer: Tracer | None) -> None:
        self._exporter = tracer and tracer.exporter

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the registry."""
        family = CounterMetricFamily(
            "bookstore_spans", "Spans that were recorded, by what became of them.", labels=["outcome"]
        )
        for outcome in _OUTCOMES:
            family.add_metric([outcome], getattr(self._exporter, outcome, 0))
        yield family
