"""Resilience policies for asyncio: correct under cancellation, compiled once, tested in virtual time.

Names are looked up when they are first used, so that a program loads what it uses and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bookstore.resilience.adaptive import Adaptive
    from bookstore.resilience.balance import Balancer, Lease
    from bookstore.resilience.breaker import Breaker
    from bookstore.resilience.budget import Budget
    from bookstore.resilience.bulkhead import Bulkhead
    from bookstore.resilience.chaos import Chaos
    from bookstore.resilience.clock import Clock
    from bookstore.resilience.deadline import Deadline, current_deadline, outgoing_headers
    from bookstore.resilience.delays import Backoff, backoff
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
    from bookstore.resilience.guard import Permit
    from bookstore.resilience.hedge import Hedge
    from bookstore.resilience.limits import AIMD, Gradient2, Vegas
    from bookstore.resilience.outcome import Classify, Outcome, Verdict
    from bookstore.resilience.outliers import Outliers
    from bookstore.resilience.pipeline import MisorderWarning, Pipeline
    from bookstore.resilience.policy import Policy
    from bookstore.resilience.quantile import percentile
    from bookstore.resilience.quota import Quota
    from bookstore.resilience.ratelimit import RateLimit
    from bookstore.resilience.registry import Registry
    from bookstore.resilience.retry import Retry
    from bookstore.resilience.stale import Stale
    from bookstore.resilience.store import Decision, Local
    from bookstore.resilience.timeout import Timeout
    from bookstore.resilience.tries import current_attempt
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
    "current_attempt",
    "current_deadline",
    "outgoing_headers",
    "percentile",
]

_HOMES: Final = {
    "adaptive": "Adaptive",
    "balance": "Balancer Lease",
    "breaker": "Breaker",
    "budget": "Budget",
    "bulkhead": "Bulkhead",
    "chaos": "Chaos",
    "clock": "Clock",
    "deadline": "Deadline current_deadline outgoing_headers",
    "delays": "Backoff backoff",
    "errors": "BulkheadFull CircuitOpen DeadlineExceeded RateLimited Rejected TimedOut",
    "events": "Event Sink",
    "fallback": "Fallback",
    "flight": "SingleFlight",
    "hedge": "Hedge",
    "limits": "AIMD Gradient2 Vegas",
    "outcome": "Classify Outcome Verdict",
    "outliers": "Outliers",
    "pipeline": "MisorderWarning Pipeline",
    "guard": "Permit",
    "policy": "Policy",
    "quantile": "percentile",
    "quota": "Quota",
    "ratelimit": "RateLimit",
    "registry": "Registry",
    "retry": "Retry",
    "stale": "Stale",
    "store": "Decision Local",
    "timeout": "Timeout",
    "tries": "current_attempt",
    "window": "Window",
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
