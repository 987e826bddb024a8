"""The metrics of requests, as plain numbers that cost nothing to speak of until Prometheus asks.

Each request is counted once, by its route, method and status; all three families are read off that.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from time import time

from prometheus_client.core import CounterMetricFamily, Exemplar, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

EDGES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
CLASSES = ("2xx", "3xx", "4xx", "5xx")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
OTHER = "_OTHER"
UNMATCHED = "<unmatched>"
STRAY = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)
"""The methods with which unknown paths are tried: their 404 is there from the start, under both names."""

_NOT_FOUND = 404
_EDGES = [*map(str, EDGES), "+Inf"]


class _Times:
    """How long some requests took: how many up to each edge, and all together."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * len(_EDGES)
        self.seconds = 0.0

    def add(self, other: "_Times") -> None:
        """Take those of another in."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds


class RequestMetrics(Collector):
    """Counts answered requests, under short names and the conventions' names at once.

    Every series that can be known beforehand exists at 0 from the start, so that the first error already
    counts as an increase. Whatever a client can make up, be it a path or a method, is counted under one name
    for all.
    """

    def __init__(self) -> None:
        self._times: dict[tuple[str, str, int], _Times] = {}
        self._exemplars: dict[tuple[str, int], Exemplar] = {}
        """The last trace that was kept, by route and edge."""
        self._expected: dict[tuple[str, str, str], int] = {}
        self.expect((UNMATCHED, method) for method in METHODS | {OTHER})
        for method in STRAY:
            self._times[UNMATCHED, method, _NOT_FOUND] = _Times()

    def expect(self, routes: Iterable[tuple[str, str]]) -> None:
        """Show the series of these (route template, method) pairs at 0."""
        self._expected.update(
            ((handler, method, status_class), 0) for handler, method in routes for status_class in CLASSES
        )

    def observe(
        self,
        handler: str,
        method: str,
        status: int,
        seconds: float,
        exemplar: Mapping[str, str] | None = None,
    ) -> None:
        """Count one answered request; the `exemplar` names a trace that was kept of it."""
        series = handler, method if method in METHODS else OTHER, status
        times = self._times.get(series)
        if times is None:
            times = self._times[series] = _Times()
        edge = bisect_left(EDGES, seconds)
        times.counts[edge] += 1
        times.seconds += seconds
        if exemplar:
            self._exemplars[handler, edge] = Exemplar(dict(exemplar), seconds, time())

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self._told(self._times, self._expected)

    def happened(self) -> Iterable[Metric]:
        """All but the series that are still at 0."""
        return self._told({series: times for series, times in self._times.items() if any(times.counts)}, {})

    def _told(
        self, seen: Mapping[tuple[str, str, int], _Times], expected: Mapping[tuple[str, str, str], int]
    ) -> Iterable[Metric]:
        requests, durations, convention = families = self._families()
        totals = dict(expected)
        by_handler = {handler: _Times() for handler, _, _ in expected}
        for (handler, method, status), times in seen.items():
            status_class = handler, method, f"{status // 100}xx"
            totals[status_class] = totals.get(status_class, 0) + sum(times.counts)
            by_handler.setdefault(handler, _Times()).add(times)
            route = "" if handler == UNMATCHED else handler
            convention.add_metric((route, method, str(status)), _cumulative(times), times.seconds)
        for labels, count in totals.items():
            requests.add_metric(labels, count)
        for handler, times in by_handler.items():
            durations.add_metric((handler,), self._with_exemplars(handler, times), times.seconds)
        return families

    @staticmethod
    def _families() -> tuple[CounterMetricFamily, HistogramMetricFamily, HistogramMetricFamily]:
        return (
            CounterMetricFamily(
                "http_requests", "Requests answered.", labels=("handler", "method", "status_class")
            ),
            HistogramMetricFamily(
                "http_request_duration_seconds", "Time to the end of the answer.", labels=("handler",)
            ),
            HistogramMetricFamily(
                "http_server_request_duration_seconds",
                "Duration of HTTP server requests.",
                labels=("http_route", "http_request_method", "http_response_status_code"),
            ),
        )

    def _with_exemplars(
        self, handler: str, times: _Times
    ) -> list[tuple[str, int] | tuple[str, int, Exemplar]]:
        kept = self._exemplars
        return [
            (*bucket, kept[handler, edge]) if (handler, edge) in kept else bucket
            for edge, bucket in enumerate(_cumulative(times))
        ]


def _cumulative(times: _Times) -> list[tuple[str, int]]:
    """How many took no longer than each edge."""
    return list(zip(_EDGES, accumulate(times.counts), strict=True))
