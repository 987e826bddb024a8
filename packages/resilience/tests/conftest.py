"""What most tests need: a clock that stands still."""

import importlib.util

import pytest

from bookstore.resilience import Breaker, CircuitOpen, Pipeline, Retry
from bookstore.resilience.testing import FakeClock

NEEDS = {
    "test_httpx.py": {"httpx"},
    "test_litestar.py": {"litestar"},
    "test_otel.py": {"opentelemetry.sdk"},
    "test_collector.py": {"prometheus_client"},
    "test_prometheus.py": {"prometheus_client"},
    "test_prometheus_series.py": {"prometheus_client"},
    "test_readme.py": {"httpx", "litestar", "redis"},
    "test_redis.py": {"redis"},
    "test_redis_processes.py": {"redis"},
    "test_redis_scripts.py": {"redis"},
    "test_settings.py": {"msgspec"},
}
"""What a file of tests can't do without. The others need no extra."""


def installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


collect_ignore = [file for file, modules in NEEDS.items() if not all(map(installed, modules))]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def open_circuit(clock):
    """Gives a sink three calls to tell of: two fail and open the circuit, the third is refused."""

    async def fail():
        raise OSError

    async def open_circuit(sink):
        pipe = Pipeline("books", Retry(attempts=1), Breaker(consecutive=2), clock=clock, sinks=[sink])
        for error in (OSError, OSError, CircuitOpen):
            with pytest.raises(error):
                await pipe.call(fail)
        assert pipe.sink_errors == 0

    return open_circuit
