"""Promises: which share of what is asked has to be good, and how much of the bad there was was allowed for.

They are those that alerts go by. Prometheus looks at a month; here it is what the monitor has seen itself,
since somebody first looked on and at most over the last hour. Counts grow in the services, so what happens
while nobody looks is counted all the same, if later.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Final

from bookstore.contracts.monitor import Promise
from bookstore.monitor.survey.exposition import Key, Reading

WINDOW: Final = 3600.0
RECENT: Final = 60.0
_SLOT: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Promised:
    """One promise: of the events under `total` those under `bad` broke it, or those later than `within`."""

    service: str
    name: str
    says: str
    objective: float
    total: Key
    bad: Key = ()
    within: float = inf

    def counted(self, reading: Reading) -> tuple[float, float]:
        """All events, and the bad ones, as one process has counted them since it began."""
        if self.bad:
            return _sum(reading, self.total), _sum(reading, self.bad)
        edges = reading.edges.get(self.total, {})
        total = edges.get(inf, 0.0)
        return total, max(0.0, total - edges.get(self.within, total))


def _availability(service: str, objective: float) -> Promised:
    return Promised(
        service=service,
        name="availability",
        says=f"{objective * 100:g} % of requests to {service} are answered, and not by a 5xx.",
        objective=objective,
        total=("requests",),
        bad=("requests", "5xx"),
    )


def _latency(service: str, seconds: float, objective: float) -> Promised:
    return Promised(
        service=service,
        name="latency",
        says=f"{objective * 100:g} % of requests to {service} are answered within {seconds} s.",
        objective=objective,
        total=("requests",),
        within=seconds,
    )


PROMISES: Final = (
    _availability("gateway", 0.999),
    _availability("books", 0.999),
    _availability("orders", 0.995),
    _latency("books", 0.25, 0.99),
    _latency("orders", 0.25, 0.99),
    Promised(
        service="orders-worker",
        name="validation",
        says="99 % of attempts to validate an order come to an end within 2.5 s.",
        objective=0.99,
        total=("jobs", "validate"),
        within=2.5,
    ),
)


class _Tally:
    """Events of one promise, in slots of some seconds, of the last hour."""

    def __init__(self) -> None:
        self._slots: deque[tuple[float, float, float]] = deque()

    def add(self, now: float, total: float, bad: float) -> None:
        at = now - now % _SLOT
        if self._slots and self._slots[-1][0] == at:
            _, total_before, bad_before = self._slots.pop()
            total, bad = total + total_before, bad + bad_before
        self._slots.append((at, total, bad))
        while self._slots[0][0] <= now - WINDOW:
            self._slots.popleft()

    def since(self, start: float) -> tuple[float, float]:
        total = bad = 0.0
        for at, some, some_bad in reversed(self._slots):
            if at < start:
                break
            total, bad = total + some, bad + some_bad
        return total, bad


class Ledger:
    """Counts how promises are kept, out of what processes tell."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._last: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._tallies = {(promise.service, promise.name): _Tally() for promise in PROMISES}

    def take(self, service: str, instance: str, reading: Reading) -> None:
        """Take what a process has counted; what it had counted when it was first asked is left out."""
        self._began = reading.at if self._began is None else self._began
        for promise in PROMISES:
            if promise.service == service:
                key = (service, promise.name, instance)
                now = promise.counted(reading)
                before = self._last.get(key, now)
                if now[0] < before[0]:
                    before = (0.0, 0.0)  # another life of the process
                self._last[key] = now
                grown = now[0] - before[0]
                if grown > 0:
                    bad = min(grown, max(0.0, now[1] - before[1]))
                    self._tallies[service, promise.name].add(reading.at, grown, bad)

    def show(self, services: set[str], now: float | None = None) -> list[Promise]:
        """How the promises of these services are kept."""
        now = monotonic() if now is None else now
        return [self._shown(promise, now) for promise in PROMISES if promise.service in services]

    def _shown(self, promise: Promised, now: float) -> Promise:
        tally = self._tallies[promise.service, promise.name]
        used = _used(promise, *tally.since(now - WINDOW))
        return Promise(
            name=promise.name,
            service=promise.service,
            says=promise.says,
            objective=promise.objective,
            budget_left=None if used is None else round(1 - used, 4),
            burn=_used(promise, *tally.since(now - RECENT)),
            window_seconds=0.0 if self._began is None else round(min(WINDOW, now - self._began), 1),
        )


def _used(promise: Promised, total: float, bad: float) -> float | None:
    """Which share of what may be bad was bad; None of nothing."""
    return round(bad / total / (1 - promise.objective), 4) if total else None


def _sum(reading: Reading, key: Key) -> float:
    return sum(count for each, count in reading.counts.items() if each[: len(key)] == key)
