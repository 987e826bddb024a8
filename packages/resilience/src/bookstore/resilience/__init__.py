"""Resilience policies for asyncio: correct under cancellation, compiled once, tested in virtual time."""

from bookstore.resilience.clock import Clock
from bookstore.resilience.errors import (
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    RateLimited,
    Rejected,
    TimedOut,
)
from bookstore.resilience.events import Event, Sink
from bookstore.resilience.outcome import Classify, Outcome, Verdict
from bookstore.resilience.pipeline import MisorderWarning, Pipeline
from bookstore.resilience.policy import Permit, Policy

__all__ = [
    "BulkheadFull",
    "CircuitOpen",
    "Classify",
    "Clock",
    "DeadlineExceeded",
    "Event",
    "MisorderWarning",
    "Outcome",
    "Permit",
    "Pipeline",
    "Policy",
    "RateLimited",
    "Rejected",
    "Sink",
    "TimedOut",
    "Verdict",
]
