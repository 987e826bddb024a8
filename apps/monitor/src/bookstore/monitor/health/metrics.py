"""Metrics of the watch: how every target is, and how long it took to say so."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bookstore.monitor.health.model import STATES, Finding
from bookstore.monitor.health.targets import Target

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class WatchMetrics:
    """Counts findings. Every series is there from the start."""

    def __init__(self, registry: CollectorRegistry, targets: tuple[Target, ...]) -> None:
        labels = ("service", "instance")
        self._state = Gauge(
            "bookstore_monitor_state", "1 for the state of a target.", (*labels, "state"), registry=registry
        )
        self._probes = Counter(
            "bookstore_monitor_probes", "Looks at a target.", (*labels, "state"), registry=registry
        )
        self._seconds = Histogram(
            "bookstore_monitor_probe_seconds",
            "Until a target had answered.",
            labels,
            buckets=_BUCKETS,
            registry=registry,
        )
        for target in targets:
            self._seconds.labels(target.service, target.instance)
            for state in STATES:
                self._state.labels(target.service, target.instance, state)
                self._probes.labels(target.service, target.instance, state)

    def seen(self, target: Target, finding: Finding) -> None:
        """Take a finding."""
        name = (target.service, target.instance)
        for state in STATES:
            self._state.labels(*name, state).set(state == finding.judgement.status)
        self._probes.labels(*name, finding.judgement.status).inc()
        if finding.seconds is not None:
            self._seconds.labels(*name).observe(finding.seconds)
