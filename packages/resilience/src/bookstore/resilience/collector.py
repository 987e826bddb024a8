"""Metrics for Prometheus by whom a program depends on, whatever it calls them through.

`PrometheusSink` tells of each policy; this tells of each dependency, in the few families that a dashboard or
an alert asks for. All are there from the start, at 0.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bookstore.resilience.breaker import Breaker
from bookstore.resilience.bulkhead import Bulkhead
from bookstore.resilience.events import Event
from bookstore.resilience.outcome import Verdict
from bookstore.resilience.permit import State
from bookstore.resilience.pipeline import Pipeline
from bookstore.resilience.prometheus import BUCKETS

TURNS: Final = (("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed"))
"""The changes of state that a circuit makes by itself."""

_AGAIN: Final = {"retry": "sent", "budget_exhausted": "over_budget"}


class DependencyMetrics(Collector):
    """A collector and a sink: give it to pipelines as a sink, and let it `watch` them.

    Metrics, each with the label `dependency` and a prefix of your own: `breaker_state` (by `state`, 1 for the
    one that it is in), `breaker_transitions_total` (by `from`, `to`), `breaker_rejected_total`,
    `bulkhead_in_flight`, `bulkhead_waiting`, `bulkhead_rejected_total`, `retry_attempts_total` (by `outcome`:
    `sent`, `over_budget`), `timeouts_total`, and the histogram `call_duration_seconds` (by `outcome`: `ok`,
    `fail`, `ignore`).

    Args:
        registry: where to register.
        prefix: what the names begin with.
    """

    def __init__(self, registry: CollectorRegistry, *, prefix: str = "resilience") -> None:
        self._prefix = prefix
        self._dependency: dict[str, str] = {}  # by pipeline
        self._breakers: dict[str, Breaker] = {}
        self._bulkheads: dict[str, list[Bulkhead]] = {}
        self._speakers: dict[tuple[str, str], str] = {}  # what a breaker tells all its pipelines counts once
        self._full: set[tuple[str, str]] = set()
        self._turns: Counter[tuple[str, str, str]] = Counter()
        self._rejected: Counter[str] = Counter()
        self._again: Counter[tuple[str, str]] = Counter()
        self._late: Counter[str] = Counter()
        self._calls = Histogram(
            f"{prefix}_call_duration_seconds",
            "Calls of a dependency, with all tries and waits.",
            ("dependency", "outcome"),
            registry=registry,
            buckets=BUCKETS,
        )
        self._ended: dict[tuple[str, Verdict | None], Histogram] = {}
        registry.register(self)

    def watch(self, dependency: str, *pipelines: Pipeline) -> None:
        """Show these pipelines, which lead to one dependency and share its breaker, if they have one."""
        bulkheads = self._bulkheads.setdefault(dependency, [])
        for pipeline in pipelines:
            self._dependency[pipeline.name] = dependency
            for verdict in get_args(Verdict):
                self._ended[pipeline.name, verdict] = self._calls.labels(dependency, verdict)
            for policy in pipeline.policies:
                if isinstance(policy, Breaker) and self._breakers.setdefault(dependency, policy) is policy:
                    if dependency not in self._speakers.values():
                        self._speakers[pipeline.name, policy.label] = dependency
                elif isinstance(policy, Bulkhead):
                    self._full.add((pipeline.name, policy.label))
                    if policy not in bulkheads:
                        bulkheads.append(policy)

    @property
    def breakers(self) -> Mapping[str, Breaker]:
        """The circuit on the way to each dependency that has one: under the names that the metrics use."""
        return self._breakers

    def __call__(self, event: Event) -> None:
        """Take one event; those of pipelines that aren't watched are passed over."""
        dependency = self._dependency.get(event.name)
        if dependency is None:
            return
        if event.kind == "call":
            self._ended[event.name, event.verdict].observe(event.elapsed)
        elif event.kind in _AGAIN:
            self._again[dependency, _AGAIN[event.kind]] += 1
        elif event.kind == "timeout":
            self._late[dependency] += 1
        elif event.kind == "rejected" and (event.name, event.policy) in self._full:
            self._rejected[dependency] += 1
        elif event.kind == "transition" and (event.name, event.policy) in self._speakers:
            self._turns[dependency, event.detail["from"], event.detail["to"]] += 1

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: it is known what to show once something is watched."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All of it; circuits and bulkheads as they are at this moment."""
        yield from self._circuits()
        yield from self._places()
        again, late = (
            self._counter("retry_attempts", "Calls that were to be tried again.", "outcome"),
            self._counter("timeouts", "Tries that were given up because they took too long."),
        )
        for dependency in sorted({*self._dependency.values()}):
            for outcome in _AGAIN.values():
                again.add_metric((dependency, outcome), self._again[dependency, outcome])
            late.add_metric((dependency,), self._late[dependency])
        yield from (again, late)

    def _circuits(self) -> Iterator[Metric]:
        state = self._gauge("breaker_state", "1 for the state that a circuit is in.", "state")
        turns = self._counter("breaker_transitions", "Changes of a circuit's state.", "from", "to")
        rejected = self._counter("breaker_rejected", "Calls refused by an open circuit.")
        for dependency, breaker in self._breakers.items():
            now = breaker.snapshot()
            for each in get_args(State):
                state.add_metric((dependency, each), float(each == now.state))
            rejected.add_metric((dependency,), now.rejected)
            known = {(dependency, *turn): 0 for turn in TURNS}
            told = {turn: count for turn, count in self._turns.items() if turn[0] == dependency}
            for turn, count in {**known, **told}.items():
                turns.add_metric(turn, count)
        yield from (state, turns, rejected)

    def _places(self) -> Iterator[Metric]:
        running = self._gauge("bulkhead_in_flight", "Calls under way.")
        waiting = self._gauge("bulkhead_waiting", "Calls that wait for a place.")
        rejected = self._counter("bulkhead_rejected", "Calls refused because all places were taken.")
        for dependency, bulkheads in self._bulkheads.items():
            if bulkheads:
                running.add_metric((dependency,), sum(each.in_flight for each in bulkheads))
                waiting.add_metric((dependency,), sum(each.waiting for each in bulkheads))
                rejected.add_metric((dependency,), self._rejected[dependency])
        yield from (running, waiting, rejected)

    def _counter(self, name: str, text: str, *labels: str) -> CounterMetricFamily:
        return CounterMetricFamily(f"{self._prefix}_{name}", text, labels=("dependency", *labels))

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=("dependency", *labels))
