"""What OpenTelemetry is told."""

import asyncio
from contextlib import suppress

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    Event,
    Fallback,
    Hedge,
    Pipeline,
    Quota,
    RateLimit,
    Rejected,
    Retry,
)
from bookstore.resilience.otel import OtelSink, SpanSink


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


async def test_otel(open_circuit, spans, tracer):
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    with tracer.start_as_current_span("request"):
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
    assert [event.name for event in span.events] == ["resilience.transition", "resilience.rejected"]


async def test_otel_without_a_provider(open_circuit):
    await open_circuit(OtelSink())


def told(kind, policy, **more):
    """An event and its attributes."""
    named = {"pipeline": "books", "policy": policy, "attempt": 1} | more
    return f"resilience.{kind}", {f"resilience.{key}": value for key, value in named.items()}


def refused(policy, error, **more):
    return told("rejected", policy, verdict="ignore", error=error, **more)


async def fail():
    raise OSError


def full():
    bulkhead = Bulkhead(1)
    bulkhead.acquire()
    return bulkhead


DECISIONS = {
    "retry": (
        lambda: Retry(attempts=3, delay=0.5),
        [told("retry", "retry", attempt=n, delay=0.5, error="OSError") for n in (1, 2)],
    ),
    "limit": (
        lambda: RateLimit(Quota(1, per=4.0, algorithm="sliding_log"), cost=1, name="quota"),
        [refused("quota", "RateLimited", retry_after=4.0)],
    ),
    "bulkhead": (full, [refused("bulkhead", "BulkheadFull")] * 2),
    "breaker": (
        lambda: Breaker(consecutive=1, open_for=30.0),
        [
            told("transition", "breaker", **{"from": "closed", "to": "open"}),
            refused("breaker", "CircuitOpen", retry_after=30.0),
        ],
    ),
    "fallback": (lambda: Fallback(use=1), [told("fallback", "fallback", error="OSError")] * 2),
    "hedge": (lambda: Hedge(after=0.0), [told("hedge", "hedge", attempt=2)] * 2),
}


@pytest.mark.parametrize("decision", DECISIONS)
async def test_what_a_policy_decides_is_an_event_of_the_current_span(clock, spans, tracer, decision):
    make, events = DECISIONS[decision]
    pipe = Pipeline("books", make(), clock=clock, sinks=[SpanSink()])
    calls = 1 if decision == "retry" else 2
    for _ in range(calls):
        with tracer.start_as_current_span("request"), suppress(OSError, Rejected):
            await clock.finish(pipe.call(fail))
    seen = [event for span in spans.get_finished_spans() for event in span.events]
    assert [(event.name, dict(event.attributes)) for event in seen] == events
    assert pipe.sink_errors == 0


async def test_a_call_that_goes_well_adds_nothing_to_its_span(clock, spans, tracer):
    pipe = Pipeline("books", Retry(), Breaker(), clock=clock, sinks=[SpanSink()])
    with tracer.start_as_current_span("request"):
        await pipe.call(asyncio.sleep, 0)
    (span,) = spans.get_finished_spans()
    assert span.events == ()


class Unread(dict):
    """A detail that nobody may look at."""

    def items(self):
        raise AssertionError


async def test_a_span_that_is_not_recorded_costs_a_look_at_it():
    unsampled = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test")
    event = Event("rejected", "breaker", "books", detail=Unread())
    SpanSink()(event)
    with unsampled.start_as_current_span("request") as span:
        SpanSink()(event)
        assert not span.is_recording()
