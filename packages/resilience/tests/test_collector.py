"""What Prometheus is told of a dependency."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    BulkheadFull,
    CircuitOpen,
    Pipeline,
    Retry,
    TimedOut,
    Timeout,
)
from bookstore.resilience.collector import TURNS, DependencyMetrics


async def fail():
    raise OSError


async def hang():
    await asyncio.Event().wait()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def sink(registry):
    return DependencyMetrics(registry, prefix="shop")


@pytest.fixture
def value(registry):
    def value(name, **labels):
        return registry.get_sample_value(f"shop_{name}", {"dependency": "books", **labels})

    return value


def test_all_is_there_before_anything_happens(sink, registry, value):
    sink.watch("books", Pipeline("books", Retry(), Breaker(), Bulkhead(3, queue=1), Timeout(1), sinks=[sink]))
    assert value("breaker_state", state="closed") == 1
    assert value("breaker_state", state="open") == 0
    for before, after in TURNS:
        assert value("breaker_transitions_total", **{"from": before, "to": after}) == 0
    for name in ("breaker_rejected_total", "bulkhead_rejected_total", "timeouts_total", "bulkhead_in_flight"):
        assert value(name) == 0, name
    for outcome in ("sent", "over_budget"):
        assert value("retry_attempts_total", outcome=outcome) == 0
    for outcome in ("ok", "fail", "ignore"):
        assert value("call_duration_seconds_count", outcome=outcome) == 0
    assert b"shop_bulkhead_waiting" in generate_latest(registry)


async def test_a_breaker_of_several_pipelines_is_one(sink, value, clock):
    breaker = Breaker(name="b", consecutive=2, open_for=5)
    prices, stock = (Pipeline(name, breaker, clock=clock, sinks=[sink]) for name in ("prices", "stock"))
    sink.watch("books", prices, stock)
    for pipeline, error in ((prices, OSError), (stock, OSError), (stock, CircuitOpen)):
        with pytest.raises(error):
            await pipeline.call(fail)
    assert value("breaker_state", state="open") == 1
    assert value("breaker_transitions_total", **{"from": "closed", "to": "open"}) == 1
    assert value("breaker_rejected_total") == 1
    assert value("call_duration_seconds_count", outcome="fail") == 2
    assert value("call_duration_seconds_count", outcome="ignore") == 1
    clock.tick(5)  # nobody calls, and yet it is half open
    assert value("breaker_state", state="half_open") == 1
    breaker.force_open()
    assert value("breaker_transitions_total", **{"from": "half_open", "to": "forced_open"}) == 1


async def test_tries_timeouts_and_a_full_house(sink, value):
    places = Bulkhead(1)
    pipeline = Pipeline("books", Retry(attempts=3, delay=0), places, Timeout(0.01), sinks=[sink])
    sink.watch("books", pipeline)
    with pytest.raises(TimedOut):
        await pipeline.call(hang)
    assert value("retry_attempts_total", outcome="sent") == 2
    assert value("timeouts_total") == 3
    permit = places.acquire()
    assert value("bulkhead_in_flight") == 1
    with pytest.raises(BulkheadFull):
        await pipeline.call(fail)
    assert value("bulkhead_rejected_total") == 1
    permit.drop()
    assert pipeline.sink_errors == 0


async def test_who_is_not_watched_is_passed_over(sink, registry):
    pipeline = Pipeline("others", sinks=[sink])
    with pytest.raises(OSError):
        await pipeline.call(fail)
    assert pipeline.sink_errors == 0
    assert b"others" not in generate_latest(registry)


async def test_who_switches_a_circuit_by_its_name_has_the_one_that_calls_go_through(sink, value):
    books = Pipeline("books", Breaker(), sinks=[sink])
    sink.watch("books", books)
    sink.watch("mail", Pipeline("mail", Timeout(1), sinks=[sink]))
    assert sink.breakers.keys() == {"books"}
    sink.breakers["books"].force_open()
    with pytest.raises(CircuitOpen):
        await books.call(hang)
    assert value("breaker_state", state="forced_open") == 1


async def test_a_bulkhead_of_several_pipelines_counts_once_and_who_has_none_shows_none(sink, value, registry):
    bulkhead = Bulkhead(3, name="places")
    prices, stock = (Pipeline(name, bulkhead, sinks=[sink]) for name in ("prices", "stock"))
    sink.watch("books", prices, stock)
    sink.watch("supplier", Pipeline("supplier", Retry(), sinks=[sink]))
    held = bulkhead.acquire()
    assert value("bulkhead_in_flight") == 1
    held.ok()
    assert value("bulkhead_in_flight") == 0
    assert registry.get_sample_value("shop_bulkhead_in_flight", {"dependency": "supplier"}) is None
