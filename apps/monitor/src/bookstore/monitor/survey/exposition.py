"""Reads the text that Prometheus scrapes, and keeps of it what the console shows, summed up.

Hostile text costs no more than its length: lines that are not understood are passed over, names that have not
the form of one are dropped, and there is an end to how many are kept.
"""

import math
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, ...]

MOST: Final = 4000
"""Keys that are kept of one text."""

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]{0,100})(?:\{([^{}]{0,1000})\})? ([0-9eE+.Naif-]{1,32})(?: |$)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]{0,50})="([^"\\]{0,200})",? ?')
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")

_COUNTS: Final[dict[str, Key]] = {
    "http_requests_total": ("requests", "status_class"),
    "bookstore_call_duration_seconds_count": ("calls", "dependency", "outcome"),
    "bookstore_gateway_attempts_total": ("attempts", "upstream", "outcome"),
    "bookstore_breaker_rejected_total": ("rejected", "dependency"),
    "bookstore_breaker_transitions_total": ("turns", "dependency", "to"),
    "bookstore_bulkhead_rejected_total": ("turned_away", "dependency"),
    "bookstore_retry_attempts_total": ("retries", "dependency", "outcome"),
    "bookstore_timeouts_total": ("timeouts", "dependency"),
    "bookstore_limiter_decisions_total": ("limits", "scope", "outcome"),
    "bookstore_limiter_degraded_total": ("degraded", "scope"),
}
_GAUGES: Final[dict[str, Key]] = {
    "bookstore_breaker_state": ("circuit", "dependency", "state"),
    "bookstore_bulkhead_in_flight": ("in_flight", "dependency"),
    "bookstore_bulkhead_waiting": ("waiting", "dependency"),
}
_HISTOGRAMS: Final[dict[str, Key]] = {
    "http_request_duration_seconds_bucket": ("requests",),
    "bookstore_call_duration_seconds_bucket": ("calls", "dependency"),
    "worker_job_duration_seconds_bucket": ("jobs", "queue"),
}
"""What is kept, by metric: under which word, and by which labels."""

_ORDERS: Final = frozenset({"/v1/orders", "/v2/orders"})


class Reading(NamedTuple):
    """What one scrape of a process said."""

    at: float
    counts: dict[Key, float]
    gauges: dict[Key, float]
    edges: dict[Key, dict[float, float]]
    """Of histograms: how many were at most so many seconds."""


def read(text: str, at: float) -> Reading:
    """What there is to keep of a text that was got at this (monotonic) time."""
    reading = Reading(at, {}, {}, {})
    for name, labels, value in _samples(text):
        if len(reading.counts) + len(reading.gauges) + len(reading.edges) > MOST:
            break
        for known, kept in ((_COUNTS, reading.counts), (_GAUGES, reading.gauges)):
            if name in known and (key := _key(known[name], labels)):
                kept[key] = kept.get(key, 0.0) + value
        if name in _HISTOGRAMS and (key := _key(_HISTOGRAMS[name], labels)):
            _add_edge(reading.edges.setdefault(key, {}), labels.get("le", ""), value)
        if name == "http_requests_total" and _is_order(labels):
            reading.counts["orders",] = reading.counts.get(("orders",), 0.0) + value
    return reading


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name not in _COUNTS and name not in _GAUGES and name not in _HISTOGRAMS:
            continue
        match = _LINE.match(line)
        number = _number(match[3]) if match else None
        if match is not None and number is not None:
            yield name, dict(_LABEL.findall(match[2] or "")), number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _key(known: Key, labels: dict[str, str]) -> Key | None:
    word, *names = known
    values = [labels.get(name, "") for name in names]
    return (word, *values) if all(map(_NAME.fullmatch, values)) else None


def _add_edge(edges: dict[float, float], edge: str, value: float) -> None:
    try:
        upper = float(edge)
    except ValueError:
        return
    if not math.isnan(upper) and (upper in edges or len(edges) < 100):  # noqa: PLR2004 - nobody has more
        edges[upper] = edges.get(upper, 0.0) + value


def _is_order(labels: dict[str, str]) -> bool:
    return (
        labels.get("handler") in _ORDERS
        and labels.get("method") == "POST"
        and labels.get("status_class") == "2xx"
    )
