"""Metrics of the requests that a service answers, under short names and the conventions' names at once.

Children are looked up once for each route, method and status and kept; every series that can be known
beforehand exists at 0 from the start, so that the first error already counts as an increase. Whatever a
client can make up, be it a path or a method, is counted under one name for all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

EDGES = (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
DELAYS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
CLASSES = ("2xx", "3xx", "4xx", "5xx")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
OTHER = "_OTHER"
UNMATCHED = "<unmatched>"
STRAY = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)
"""The methods with which unknown paths are tried: their 404 is there from the start, under both names."""

_NOT_FOUND = 404

disable_created_metrics()


class Metrics:
    """A registry of its own for each service, with the HTTP metrics in it."""

    def __init__(self, service: str, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Info("bookstore_build", "Which version of which service this is.", registry=self.registry)
        build.info({"service": service, "version": version})
        self.active = 0
        """Requests under way."""
        active = Gauge("http_server_active_requests", "Requests under way.", registry=self.registry)
        active.set_function(lambda: self.active)
        self.loop_delay = Histogram(
            "bookstore_event_loop_delay_seconds",
            "How much later than it was due a timer ran: while it waits, so does every request.",
            buckets=DELAYS,
            registry=self.registry,
        )
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["handler", "method", "status_class"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to the end of the answer.",
            ["handler"],
            buckets=EDGES,
            registry=self.registry,
        )
        self._convention = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP server requests.",
            ["http_route", "http_request_method", "http_response_status_code"],
            buckets=EDGES,
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram, Histogram]] = {}
        self.expect((UNMATCHED, method) for method in METHODS | {OTHER})
        for method in STRAY:
            self._find(UNMATCHED, method, _NOT_FOUND)

    def expect(self, routes: Iterable[tuple[str, str]]) -> None:
        """Create the series of these (route template, method) pairs at 0."""
        for handler, method in routes:
            self._seconds.labels(handler)
            for status_class in CLASSES:
                self._requests.labels(handler, method, status_class)

    def observe(
        self,
        handler: str,
        method: str,
        status: int,
        seconds: float,
        exemplar: Mapping[str, str] | None = None,
    ) -> None:
        """Count one answered request; the `exemplar` names a trace that was kept of it."""
        known = method if method in METHODS else OTHER
        found = self._children.get((handler, known, status)) or self._find(handler, known, status)
        requests, duration, convention = found
        requests.inc()
        duration.observe(seconds, cast("dict[str, str] | None", exemplar))
        convention.observe(seconds)

    def _find(self, handler: str, method: str, status: int) -> tuple[Counter, Histogram, Histogram]:
        children = self._children[handler, method, status] = (
            self._requests.labels(handler, method, f"{status // 100}xx"),
            self._seconds.labels(handler),
            self._convention.labels("" if handler == UNMATCHED else handler, method, str(status)),
        )
        return children

    def exposition(self, accept: str, names: Sequence[str] = ()) -> tuple[bytes, str]:
        """The text that Prometheus scrapes, in the form that it asks for, and its content type.

        With `names` there are only the samples of those names, which costs accordingly less.
        """
        registry = self.registry.restricted_registry(names) if names else self.registry
        if "application/openmetrics-text" in accept:
            text = cast("bytes", openmetrics.generate_latest(registry))  # pyright: ignore[reportUnknownMemberType]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
