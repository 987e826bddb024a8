"""Resilience policies for asyncio: correct under cancellation, compiled once, tested in virtual time."""

from bookstore.resilience.adaptive import Adaptive
from bookstore.resilience.backoff import Backoff, backoff
from bookstore.resilience.balance import Balancer, Lease
from bookstore.resilience.breaker import Breaker
from bookstore.resilience.budget import Budget
from bookstore.resilience.bulkhead import Bulkhead
from bookstore.resilience.chaos import Chaos
from bookstore.resilience.clock import Clock
from bookstore.resilience.deadline import Deadline, current_deadline, outgoing_headers
from bookstore.resilience.errors import (
    BulkheadFull,
    CircuitOpen,
    DeadlineExceeded,
    RateLimited,
    Rejected,
    TimedOut,
)
from bookstore.resilience.events import Event, Sink
from bookstore.resilience.fallback import Fallback
from bookstore.resilience.flight import SingleFlight
from bookstore.resilience.hedge import Hedge
from bookstore.resilience.limits import AIMD, Gradient2, Vegas
from bookstore.resilience.outcome import Classify, Outcome, Verdict
from bookstore.resilience.outliers import Outliers
from bookstore.resilience.pipeline import MisorderWarning, Pipeline
from bookstore.resilience.policy import Permit, Policy
from bookstore.resilience.quantile import percentile
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.registry import Registry
from bookstore.resilience.retry import Retry
from bookstore.resilience.stale import Stale
from bookstore.resilience.store import Decision, Local
from bookstore.resilience.timeout import Timeout
from bookstore.resilience.window import Window

__all__ = [
    "AIMD",
    "Adaptive",
    "Backoff",
    "Balancer",
    "Breaker",
    "Budget",
    "Bulkhead",
    "BulkheadFull",
    "Chaos",
    "CircuitOpen",
    "Classify",
    "Clock",
    "Deadline",
    "DeadlineExceeded",
    "Decision",
    "Event",
    "Fallback",
    "Gradient2",
    "Hedge",
    "Lease",
    "Local",
    "MisorderWarning",
    "Outcome",
    "Outliers",
    "Permit",
    "Pipeline",
    "Policy",
    "Quota",
    "RateLimit",
    "RateLimited",
    "Registry",
    "Rejected",
    "Retry",
    "SingleFlight",
    "Sink",
    "Stale",
    "TimedOut",
    "Timeout",
    "Vegas",
    "Verdict",
    "Window",
    "backoff",
    "current_deadline",
    "outgoing_headers",
    "percentile",
]
