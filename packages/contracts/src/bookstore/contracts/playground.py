"""What the playground answers."""

from datetime import datetime
from typing import Literal

from bookstore.contracts.base import Wire


class CallResult(Wire, frozen=True, kw_only=True):
    """What came of one call."""

    url: str
    status: int | None
    """The status of the answer; None where the fallback stood in for it."""
    source: Literal["service", "fallback"]
    attempts: int
    """How often the service was really called: 0 if the circuit was open."""
    elapsed_ms: float
    """Standing in line and waits between tries included."""


class Invoked(Wire, frozen=True, kw_only=True):
    """What GET /invoke and its two kin answer."""

    requested: int
    successful: int
    fallbacks: int
    results: list[CallResult]


class CircuitState(Wire, frozen=True, kw_only=True):
    """What GET /circuit_state answers."""

    state: Literal["CLOSED", "OPEN", "HALF_OPEN"]
    fail_count: int
    """Failures in a row."""
    opened_at: datetime | None


class Stressed(Wire, frozen=True, kw_only=True):
    """What GET /stress answers: what a crowd got, and what the service got to see of it."""

    seconds: float
    callers: int
    requested: int
    successful: int
    fallbacks: int
    calls_to_the_service: int
    calls_per_second: float
    most_at_once: int
    slowest_ms: float
