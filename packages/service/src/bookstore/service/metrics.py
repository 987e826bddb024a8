"""The metrics that every service has, and how Prometheus gets them."""

from collections.abc import Iterator, Sequence
from typing import cast

from prometheus_client import CollectorRegistry, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bookstore.service.requests import RequestMetrics

DELAYS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

disable_created_metrics()


class Metrics:
    """A registry of its own for each service, with what all services tell in it."""

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
        self.requests = RequestMetrics()
        """Those that were answered."""
        self.registry.register(self.requests)

    def exposition(self, accept: str, names: Sequence[str] = ()) -> tuple[bytes, str]:
        """The text that Prometheus scrapes, in the form that it asks for, and its content type.

        With `names` there are only the samples of those names, which costs accordingly less.
        """
        registry = _Named(self.registry, frozenset(names)) if names else self.registry
        if "application/openmetrics-text" in accept:
            text = cast("bytes", openmetrics.generate_latest(registry))  # pyright: ignore[reportUnknownMemberType]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Named(Collector):
    """Of a registry, the samples of these names.

    The library's own restriction knows only collectors that describe themselves, and so passes over a
    registry within the registry, in which an app keeps its numbers.
    """

    def __init__(self, registry: CollectorRegistry, names: frozenset[str]) -> None:
        self._registry = registry
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Those families of which something is left."""
        for family in self._registry.collect():
            samples = [sample for sample in family.samples if sample.name in self._names]
            if samples:
                left = Metric(family.name, family.documentation, family.type, family.unit)
                left.samples = samples
                yield left
