"""What most tests need: a clock that stands still."""

import importlib.util

import pytest

from bookstore.resilience.testing import FakeClock

NEEDS = {
    "test_httpx.py": {"httpx", "httpx2"},
    "test_litestar.py": {"litestar"},
    "test_readme.py": {"httpx", "litestar"},
    "test_redis.py": {"redis"},
    "test_settings.py": {"msgspec"},
    "test_sinks.py": {"opentelemetry", "prometheus_client"},
}
"""What a file of tests can't do without. The others need no extra."""

collect_ignore = [file for file, modules in NEEDS.items() if not all(map(importlib.util.find_spec, modules))]


@pytest.fixture
def clock():
    return FakeClock()
