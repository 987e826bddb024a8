"""What most tests need: a clock that stands still."""

import ast
import importlib.util
from pathlib import Path

import pytest

from bookstore.resilience import Breaker, CircuitOpen, Pipeline, Retry
from bookstore.resilience.testing import FakeClock

BESIDES = {
    "test_httpx.py": {"httpx"},
    "test_readme.py": {"httpx", "litestar"},
    "test_redis_processes.py": {"redis"},
    "test_settings.py": {"msgspec"},
}
"""What a file of tests can't do without, beside what it imports at its head. Most need no extra."""


def needed(path):
    """The modules without which a file of tests can't be run."""
    heads = ast.parse(path.read_text()).body
    named = {alias.name for head in heads if isinstance(head, ast.Import) for alias in head.names}
    opened = {head.module for head in heads if isinstance(head, ast.ImportFrom)}
    return named | opened | BESIDES.get(path.name, set())


def installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


collect_ignore = [
    path.name for path in Path(__file__).parent.glob("test_*.py") if not all(map(installed, needed(path)))
]


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
