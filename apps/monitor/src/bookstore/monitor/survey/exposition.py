"""Reads the text that Prometheus scrapes, and keeps of it what the console shows, summed up.

Hostile text costs no more than its length: lines that are not understood are passed over, names that have not
the form of one are dropped, and there is an end to how many are kept.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, ...]

MOST: Final = 4000
"""Keys that are kept of one text."""
SERIES: Final = 16_384
"""Series whose meaning is remembered: those of some twenty processes."""

_LONGEST: Final = 1200
"""Characters of a line that may mean something."""

_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]{0,100})(?:\{([^{}]{0,1000})\})?")
_VALUE = re.compile(r" ([0-9eE+.Naif-]{1,32})(?: |$)")
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

NAMES: Final = frozenset([*_COUNTS, *_GAUGES, *_HISTOGRAMS])
"""All that anything is kept of."""

_ORDERS: Final = frozenset({"/v1/orders", "/v2/orders"})


class Reading(NamedTuple):
    """What one scrape of a process said."""

    at: float
    counts: dict[Key, float]
    gauges: dict[Key, float]
    edges: dict[Key, dict[float, float]]
    """Of histograms: how many were at most so many seconds."""


class _Place(NamedTuple):
    """Where the number of a series goes to."""

    counts: tuple[Key, ...] = ()
    gauge: Key | None = None
    edge: tuple[Key, float] | None = None


def read(text: str, at: float) -> Reading:
    """What there is to keep of a text that was got at this (monotonic) time."""
    reading = Reading(at, {}, {}, {})
    for place, value in _samples(text):
        if len(reading.counts) + len(reading.gauges) + len(reading.edges) > MOST:
            break
        for key in place.counts:
            reading.counts[key] = reading.counts.get(key, 0.0) + value
        if place.gauge:
            reading.gauges[place.gauge] = reading.gauges.get(place.gauge, 0.0) + value
        if place.edge:
            key, upper = place.edge
            _add_edge(reading.edges.setdefault(key, {}), upper, value)
    return reading


def _samples(text: str) -> Iterator[tuple[_Place, float]]:
    for line in text.splitlines():
        if line.partition("{")[0].partition(" ")[0] not in NAMES or len(line) > _LONGEST:
            continue
        end = line.find("}") + 1 or line.find(" ")
        place, match = _place(line[:end]), _VALUE.match(line, end)
        number = _number(match[1]) if match else None
        if place is not None and number is not None:
            yield place, number


@lru_cache(maxsize=SERIES)
def _place(series: str) -> _Place | None:
    """What a series means: the same text each second, so it is taken apart once."""
    match = _SERIES.fullmatch(series)
    if match is None:
        return None
    name, labels = match[1], dict(_LABEL.findall(match[2] or ""))
    if name in _GAUGES:
        return _Place(gauge=_key(_GAUGES[name], labels))
    if name in _HISTOGRAMS:
        key, upper = _key(_HISTOGRAMS[name], labels), _edge(labels.get("le", ""))
        return _Place(edge=(key, upper)) if key and upper is not None else None
    key = _key(_COUNTS[name], labels)
    orders = [("orders",)] if name == "http_requests_total" and _is_order(labels) else []
    return _Place(counts=(*([key] if key else []), *orders))


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


def _edge(text: str) -> float | None:
    try:
        upper = float(text)
    except ValueError:
        return None
    return None if math.isnan(upper) else upper


def _add_edge(edges: dict[float, float], upper: float, value: float) -> None:
    if upper in edges or len(edges) < 100:  # noqa: PLR2004 - nobody has more
        edges[upper] = edges.get(upper, 0.0) + value


def _is_order(labels: dict[str, str]) -> bool:
    return (
        labels.get("handler") in _ORDERS
        and labels.get("method") == "POST"
        and labels.get("status_class") == "2xx"
    )
