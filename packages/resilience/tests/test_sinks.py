"""What OpenTelemetry and Prometheus are told."""

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from bookstore.resilience import Breaker, CircuitOpen, Pipeline, Retry
from bookstore.resilience.otel import OtelSink
from bookstore.resilience.prometheus import PrometheusSink


async def fail():
    raise OSError


async def use(clock, sink):
    """Three calls: two fail and open the circuit, the third is refused."""
    pipe = Pipeline("books", Retry(attempts=1), Breaker(consecutive=2), clock=clock, sinks=[sink])
    for error in (OSError, OSError, CircuitOpen):
        with pytest.raises(error):
            await pipe.call(fail)
    assert pipe.sink_errors == 0


async def test_otel(clock):
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with provider.get_tracer("test").start_as_current_span("request"):
        await use(clock, OtelSink(meter))
    (resource,) = reader.get_metrics_data().resource_metrics
    metrics = {metric.name: metric.data.data_points for metric in resource.scope_metrics[0].metrics}
    kinds = {point.attributes["kind"]: point.value for point in metrics["resilience.events"]}
    assert kinds["transition"] == kinds["rejected"] == 1
    assert sum(point.count for point in metrics["resilience.call.duration"]) == 3
    assert {point.attributes["attempt"] for point in metrics["resilience.attempt.duration"]} == {1}
    (state,) = metrics["resilience.circuit.state"]
    assert (state.value, state.attributes) == (2, {"pipeline": "books", "policy": "breaker"})
    (span,) = spans.get_finished_spans()
    told = {event.name: event.attributes for event in span.events}
    assert told["resilience.transition"]["to"] == "open"
    assert told["resilience.rejected"]["policy"] == "breaker"


async def test_otel_without_a_provider(clock):
    await use(clock, OtelSink())


async def test_prometheus(clock):
    registry = CollectorRegistry()
    await use(clock, PrometheusSink(registry))

    def value(name, **labels):
        return registry.get_sample_value(name, {"pipeline": "books", **labels})

    assert value("resilience_events_total", kind="rejected", policy="breaker", verdict="ignore") == 1
    assert value("resilience_circuit_state", policy="breaker") == 2
    assert value("resilience_call_seconds_count", policy="pipeline", verdict="fail") == 2
    assert value("resilience_call_seconds_count", policy="pipeline", verdict="ignore") == 1
    assert value("resilience_attempt_seconds_count", policy="retry", verdict="fail", attempt="1") == 2
