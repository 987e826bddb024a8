"""What Prometheus is told."""

from prometheus_client import CollectorRegistry

from bookstore.resilience.prometheus import PrometheusSink


async def test_prometheus(open_circuit):
    registry = CollectorRegistry()
    await open_circuit(PrometheusSink(registry))

    def value(name, **labels):
        return registry.get_sample_value(name, {"pipeline": "books", **labels})

    assert value("resilience_events_total", kind="rejected", policy="breaker", verdict="ignore") == 1
    assert value("resilience_circuit_state", policy="breaker") == 2
    assert value("resilience_call_seconds_count", policy="pipeline", verdict="fail") == 2
    assert value("resilience_call_seconds_count", policy="pipeline", verdict="ignore") == 1
    assert value("resilience_attempt_seconds_count", policy="retry", verdict="fail", attempt="1") == 2
