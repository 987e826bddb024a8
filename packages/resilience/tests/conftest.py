"""What most tests need: a clock that stands still."""

import pytest
from bookstore.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()
