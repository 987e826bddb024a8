"""The metrics that every service has, and how Prometheus gets them."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
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
    """What all services tell, and a registry for what one has to tell beside that."""

    def __init__(self, service: str, version: str) -> None:
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)
        self.registry = CollectorRegistry()
        """The service's own numbers."""
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

    def exposition(self, accept: str, names: Sequence[str] = ()) -> tuple[bytes, str]:
        """The text that Prometheus scrapes, in the form that it asks for, and its content type.

        With `names` there are only the samples of those names, without the series of requests in which
        nothing has happened yet: whoever asks each second pays for what there is to tell.
        """
        told = _Told(self._named(frozenset(names)) if names else self._all())
        if "application/openmetrics-text" in accept:
            text = cast("bytes", openmetrics.generate_latest(told))  # pyright: ignore[reportUnknownMemberType]
            return text, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(told), CONTENT_TYPE_PLAIN_0_0_4

    def _all(self) -> Iterator[Metric]:
        return chain(self._process.collect(), self.registry.collect(), self.requests.collect())

    def _named(self, names: frozenset[str]) -> Iterator[Metric]:
        """The library's own restriction would pass over a registry within the registry, as apps have them."""
        process = () if names.isdisjoint(self._process_names) else self._process.collect()
        for family in chain(process, self.registry.collect(), self.requests.happened()):
            samples = [sample for sample in family.samples if sample.name in names]
            if samples:
                left = Metric(family.name, family.documentation, family.type, family.unit)
                left.samples = samples
                yield left

    @cached_property
    def _process_names(self) -> frozenset[str]:
        """What the process tells of itself, out of a dozen files of the system."""
        return frozenset(sample.name for family in self._process.collect() for sample in family.samples)


class _Told(Collector):
    """These families, as the library wants to be handed them."""

    def __init__(self, families: Iterator[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Each of them, once."""
        return self._families
