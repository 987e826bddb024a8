"""What OpenTelemetry is told."""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bookstore.resilience.otel import OtelSink


async def test_otel(open_circuit):
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with provider.get_tracer("test").start_as_current_span("request"):
        await open_circuit(OtelSink(meter))
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


async def test_otel_without_a_provider(open_circuit):
    await open_circuit(OtelSink())
