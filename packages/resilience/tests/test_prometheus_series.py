"""Series that Prometheus sees before anything has happened."""

import pytest
from prometheus_client import CollectorRegistry

from bookstore.resilience import Breaker, Pipeline, Retry
from bookstore.resilience.prometheus import PrometheusSink


async def fail():
    raise OSError


async def test_a_pipeline_that_is_watched_is_seen_at_once_and_its_circuit_as_it_is_now(clock):
    registry = CollectorRegistry()
    sink = PrometheusSink(registry, prefix="shop")
    pipeline = Pipeline(
        "books", Retry(attempts=1), Breaker(consecutive=1, open_for=5), clock=clock, sinks=[sink]
    )
    sink.watch(pipeline)

    def value(name, **labels):
        return registry.get_sample_value(f"shop_{name}", {"pipeline": "books", **labels})

    assert value("call_seconds_count", policy="pipeline", verdict="fail") == 0
    assert value("events_total", kind="rejected", policy="breaker", verdict="ignore") == 0
    assert value("events_total", kind="transition", policy="breaker", verdict="") == 0
    assert value("circuit_state", policy="breaker") == 0
    with pytest.raises(OSError):
        await pipeline.call(fail)
    assert value("circuit_state", policy="breaker") == 2
    assert value("events_total", kind="transition", policy="breaker", verdict="") == 1
    clock.tick(5)  # nobody calls, and yet it is half open
    assert value("circuit_state", policy="breaker") == 1
