"""What Prometheus gets to see of the gateway, put together when it asks."""

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bookstore.gateway.gateway import Gateway
from bookstore.resilience.collector import TURNS
from bookstore.resilience.permit import State

_OUTCOMES = ("2xx", "3xx", "4xx", "5xx", "timeout", "error")
"""How an attempt ends; further ones show once they have happened."""


class GatewayCollector(Collector):
    """Reads the gateway's counts, and looks at its services as they are now."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: there is no gateway to look at yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        yield from self._counts()
        yield from self._services()
        yield from self._targets()

    def _counts(self) -> Iterable[Metric]:
        tally = self._gateway.tally
        limits = self._gateway.snapshot.config.limits
        decisions = {(name, outcome): 0 for name in limits for outcome in ("allowed", "refused")}
        yield _counter(
            "bookstore_limiter_decisions",
            "What limits have said.",
            ("scope", "outcome"),
            {**decisions, **tally.decisions},
        )
        yield _counter(
            "bookstore_limiter_degraded",
            "Decisions by this process' own share, while Redis was away.",
            ("scope",),
            {(name,): tally.degraded[name] for name in limits},
        )
        groups = self._gateway.snapshot.groups
        targets = [(name, member.url) for name, group in groups.items() for member in group.members]
        attempts = {(*target, outcome): 0 for target in targets for outcome in _OUTCOMES}
        yield _counter(
            "bookstore_gateway_attempts",
            "Requests sent to a target, by how they ended.",
            ("upstream", "target", "outcome"),
            {**attempts, **tally.attempts},
        )
        retries = {(name, outcome): 0 for name in groups for outcome in ("sent", "over_budget")}
        yield _counter(
            "bookstore_retry_attempts",
            "Calls that were to be tried again.",
            ("dependency", "outcome"),
            {**retries, **tally.retries},
        )
        yield _counter(
            "bookstore_breaker_transitions",
            "Changes of a circuit's state.",
            ("dependency", "from", "to"),
            {**{(name, *turn): 0 for name in groups for turn in TURNS}, **tally.transitions},
        )
        yield _counter(
            "bookstore_bulkhead_rejected",
            "Calls refused because all places were taken.",
            ("dependency",),
            {(name,): tally.full[name] for name in groups},
        )
        yield _counter(
            "bookstore_gateway_ejections",
            "Targets left out for a while because they failed their requests.",
            ("upstream", "target"),
            {**dict.fromkeys(targets, 0), **tally.ejections},
        )
        yield _counter(
            "bookstore_gateway_reloads",
            "Files that were read.",
            ("outcome",),
            {(outcome,): tally.reloads[outcome] for outcome in ("ok", "refused")},
        )

    def _services(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "bookstore_breaker_state", "1 for the state that a circuit is in.", labels=("dependency", "state")
        )
        rejected = CounterMetricFamily(
            "bookstore_breaker_rejected", "Calls refused by an open circuit.", labels=("dependency",)
        )
        running = GaugeMetricFamily(
            "bookstore_bulkhead_in_flight", "Calls under way.", labels=("dependency",)
        )
        for name, group in self._gateway.snapshot.groups.items():
            now = group.breaker.snapshot()
            for each in get_args(State):
                state.add_metric((name, each), float(each == now.state))
            rejected.add_metric((name,), now.rejected)
            running.add_metric((name,), group.places.in_flight)
        yield from (state, rejected, running)

    def _targets(self) -> Iterable[Metric]:
        labels = ("upstream", "target")
        up = GaugeMetricFamily("bookstore_gateway_target_up", "Whether a target is well.", labels=labels)
        running = GaugeMetricFamily(
            "bookstore_gateway_target_in_flight", "Requests under way there.", labels=labels
        )
        age = GaugeMetricFamily(
            "bookstore_gateway_probe_age_seconds", "Since a target was last asked.", labels=labels
        )
        for name, group in self._gateway.snapshot.groups.items():
            ejected = group.ejected
            for member in group.members:
                well = member.wellness.state == "up" and member.url not in ejected
                up.add_metric((name, member.url), float(well))
                running.add_metric((name, member.url), member.in_flight)
                if member.asked_at is not None:
                    age.add_metric((name, member.url), monotonic() - member.asked_at)
        yield from (up, running, age)


def _counter(
    name: str,
    text: str,
    labels: tuple[str, ...],
    counts: Mapping[Any, int],
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
