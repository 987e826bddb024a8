"""The picture: what the watch and the survey know, put together in the shapes that the console shows."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from bookstore.contracts.faults import Fault
from bookstore.contracts.lab import Run
from bookstore.contracts.monitor import (
    Circuit,
    Edge,
    Limiter,
    Node,
    Picture,
    Policies,
    Topology,
)
from bookstore.monitor.health.watch import Watch
from bookstore.monitor.survey.exposition import Reading
from bookstore.monitor.survey.flow import Flow, p95, rate, share
from bookstore.monitor.survey.survey import Survey

MOST: Final = 50
"""Circuits, limits and ways of one process that are shown: nobody has more, and a picture stays a picture."""

_STORES: Final = {"database": "postgres", "redis": "redis"}
"""What services call the stores that they need, and how addresses of such begin."""
_WORST_FIRST: Final = ("forced_open", "open", "half_open", "disabled", "metrics_only", "closed")
_GOOD_CALLS: Final = ("ok", "ignore")
_GOOD_ATTEMPTS: Final = ("2xx", "3xx", "4xx")


class Painter:
    """Puts the picture together; what isn't known stays None."""

    def __init__(
        self,
        watch: Watch,
        survey: Survey,
        *,
        faults: Callable[[], list[Fault]],
        run: Callable[[], Run | None],
    ) -> None:
        self._watch = watch
        self._survey = survey
        self._faults = faults
        self._run = run

    def picture(self) -> Picture:
        """All of it."""
        return Picture(
            instances=self._watch.instances(),
            topology=self.topology(),
            policies=self.policies(),
            run=self._run(),
        )

    def topology(self) -> Topology:
        """The map, and what goes over it."""
        flows = self._survey.flows()
        return Topology(
            at=datetime.now(UTC),
            services=self._nodes(flows),
            edges=self._edges(flows),
            orders_per_second=rate(flows["orders"].values(), "orders") if "orders" in flows else None,
            queue=self._watch.queue(),
            faults=self._faults(),
            promises=self._survey.ledger.show({target.service for target in self._watch.targets}),
        )

    def policies(self) -> Policies:
        """Circuits, places, retries and limits of every process."""
        circuits: list[Circuit] = []
        limiters: list[Limiter] = []
        for service, by_instance in self._survey.flows().items():
            for instance, flow in by_instance.items():
                if flow.last is not None:
                    dependencies = _dependencies(flow.last)[:MOST]
                    circuits += [self._circuit(service, instance, flow.last, each) for each in dependencies]
                    limiters += _limiters(service, instance, flow.last)
        return Policies(at=datetime.now(UTC), circuits=circuits, limiters=limiters)

    def _nodes(self, flows: Mapping[str, Mapping[str, Flow]]) -> list[Node]:
        status = self._watch.status().services
        names = list(dict.fromkeys(target.service for target in self._watch.targets))
        return [
            Node(
                service=name,
                kind=self._kind(name),
                status=status[name].status if name in status else None,
                instances=sum(target.service == name for target in self._watch.targets),
                requests_per_second=rate(flows.get(name, {}).values(), "requests"),
                error_share=share(flows.get(name, {}).values(), [("requests", "5xx")], ("requests",)),
                p95_ms=p95(flows.get(name, {}).values(), ("requests",)),
            )
            for name in names
        ]

    def _edges(self, flows: Mapping[str, Mapping[str, Flow]]) -> list[Edge]:
        """Calls, as they are counted; and the stores that services say they need, of which nobody counts."""
        edges = [edge for service, by_instance in flows.items() for edge in _edges(service, by_instance)]
        counted = {(edge.source, edge.target) for edge in edges}
        for service, needs in self._watch.needs().items():
            stores = (store for store in self._stores_of(needs) if (service, store) not in counted)
            edges += [_to_store(service, store) for store in stores]
        return edges

    def _stores_of(self, needs: Iterable[str]) -> list[str]:
        """The stores that these names mean: a database is PostgreSQL here, Redis is called by its name."""
        prefixes = tuple(_STORES[need] for need in needs if need in _STORES)
        stores = [target for target in self._watch.targets if target.is_store]
        return [target.service for target in stores if target.parts.scheme.startswith(prefixes)]

    def _kind(self, name: str) -> Literal["service", "worker", "store"]:
        if any(target.is_store for target in self._watch.targets if target.service == name):
            return "store"
        return "worker" if name.endswith("-worker") else "service"

    def _circuit(self, service: str, instance: str, reading: Reading, dependency: str) -> Circuit:
        def count(*key: str) -> int:
            return int(reading.counts.get(key, 0.0))

        def gauge(word: str) -> int | None:
            value = reading.gauges.get((word, dependency))
            return None if value is None else int(value)

        return Circuit(
            service=service,
            instance=instance,
            dependency=dependency,
            state=_state([reading], dependency),
            opened=count("turns", dependency, "open"),
            rejected=count("rejected", dependency),
            in_flight=gauge("in_flight"),
            waiting=gauge("waiting"),
            turned_away=count("turned_away", dependency),
            retries=count("retries", dependency, "sent"),
            retries_over_budget=count("retries", dependency, "over_budget"),
            timeouts=count("timeouts", dependency),
            failures=count("calls", dependency, "fail") + count("attempts", dependency, "5xx"),
            last_failure_at=self._survey.last_failure(instance, dependency),
        )


def _to_store(service: str, store: str) -> Edge:
    return Edge(
        source=service, target=store, calls_per_second=None, success_share=None, p95_ms=None, circuit=None
    )


def _edges(service: str, by_instance: Mapping[str, Flow]) -> list[Edge]:
    flows = [*by_instance.values()]
    readings = [flow.last for flow in flows if flow.last is not None]
    found: list[Edge] = []
    for target in [*dict.fromkeys(each for reading in readings for each in _dependencies(reading))][:MOST]:
        word, good = ("calls", _GOOD_CALLS)
        if any(key[:2] == ("attempts", target) for reading in readings for key in reading.counts):
            word, good = "attempts", _GOOD_ATTEMPTS
        found.append(
            Edge(
                source=service,
                target=target,
                calls_per_second=rate(flows, word, target),
                success_share=share(flows, [(word, target, each) for each in good], (word, target)),
                p95_ms=p95(flows, (word, target)),
                circuit=_state(readings, target),
            )
        )
    return found


def _dependencies(reading: Reading) -> list[str]:
    """Whom a process calls, or would: it has a circuit or a count for it."""
    words = ("circuit", "calls", "attempts", "in_flight")
    keys = (*reading.gauges, *reading.counts)
    return sorted({key[1] for key in keys if key[0] in words and len(key) > 1})


def _state(readings: Iterable[Reading], dependency: str) -> str | None:
    """The worst state that one of these processes has its circuit in."""
    states = {
        key[2]
        for reading in readings
        for key, value in reading.gauges.items()
        if key[:2] == ("circuit", dependency) and value
    }
    return next((state for state in _WORST_FIRST if state in states), None)


def _limiters(service: str, instance: str, reading: Reading) -> list[Limiter]:
    scopes = sorted({key[1] for key in reading.counts if key[0] == "limits"})[:MOST]
    return [
        Limiter(
            service=service,
            instance=instance,
            scope=scope,
            allowed=int(reading.counts.get(("limits", scope, "allowed"), 0)),
            refused=int(reading.counts.get(("limits", scope, "refused"), 0)),
            degraded=int(reading.counts.get(("degraded", scope), 0)),
        )
        for scope in scopes
    ]
