"""What a history comes to: counts, exact percentiles, and whether the generator itself can be believed."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bookstore.lab.load.history import Request

LAG_LIMIT = 0.05
"""Seconds by which one request in a hundred may be late before the result says nothing about latency."""
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
PROMISE = 2.0


class Latency(msgspec.Struct, kw_only=True):
    """Milliseconds from the scheduled start to the end of the answer."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Summary(msgspec.Struct, kw_only=True):
    """The whole run."""

    verdict: str
    """`valid`, or `unknown` with the reason: the generator lagged, or dropped what was due."""
    reason: str
    due: int
    sent: int
    dropped: int
    """Due, but never sent because too many were under way: more than a client may have."""
    outcomes: dict[str, int]
    statuses: dict[str, int]
    latency: Latency | None
    over_two_seconds: int
    lag_p99_ms: float
    lag_max_ms: float
    by_op: dict[str, dict[str, float]] = {}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` percent are not above; exact, nothing is guessed between two values."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def latencies(requests: Iterable[Request]) -> list[float]:
    """Seconds of all requests that ended, in order."""
    return sorted(request.latency for request in requests if request.latency is not None)


def latency_of(requests: Iterable[Request]) -> Latency | None:
    """The percentiles in milliseconds; None if nothing ended."""
    ordered = latencies(requests)
    if not ordered:
        return None
    values = [round(1000 * percentile(ordered, share), 3) for share in PERCENTILES]
    return Latency(p50=values[0], p90=values[1], p99=values[2], p999=values[3], max=values[4])


def lag_of(requests: Sequence[Request]) -> tuple[float, float]:
    """The generator's own lag in seconds: the 99th percentile and the maximum."""
    ordered = sorted(request.lag for request in requests)
    return (percentile(ordered, 99), ordered[-1]) if ordered else (0.0, 0.0)


def believed(requests: Sequence[Request], dropped: int) -> str:
    """Why the generator can't be believed; empty if it can."""
    lag, _ = lag_of(requests)
    if not requests:
        return "nothing was sent"
    if dropped:
        return f"the generator dropped {dropped} requests that were due"
    if lag > LAG_LIMIT:
        return (
            f"the generator itself was late by {1000 * lag:.0f} ms (p99; {1000 * LAG_LIMIT:.0f} are allowed)"
        )
    return ""


def summarise(requests: Sequence[Request], due: int) -> Summary:
    """What `requests` come to, of which `due` were scheduled."""
    lag, lag_max = lag_of(requests)
    dropped = due - len(requests)
    reason = believed(requests, dropped)
    ops = sorted({request.op for request in requests})
    return Summary(
        verdict="unknown" if reason else "valid",
        reason=reason or "every request was sent when it was due",
        due=due,
        sent=len(requests),
        dropped=dropped,
        outcomes=dict(Counter(request.outcome for request in requests)),
        statuses=dict(
            sorted(Counter(str(request.status or request.error or "?") for request in requests).items())
        ),
        latency=latency_of(requests),
        over_two_seconds=sum(seconds > PROMISE for seconds in latencies(requests)),
        lag_p99_ms=round(1000 * lag, 3),
        lag_max_ms=round(1000 * lag_max, 3),
        by_op={op: _by_op([request for request in requests if request.op == op]) for op in ops},
    )


def _by_op(requests: list[Request]) -> dict[str, float]:
    found = latency_of(requests)
    times = {"p50_ms": found.p50, "p99_ms": found.p99, "max_ms": found.max} if found else {}
    return {"sent": len(requests), **times}
