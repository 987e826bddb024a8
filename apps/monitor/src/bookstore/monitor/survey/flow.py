"""From counts that only grow to rates: the last readings of one process. Rules only, nothing here waits."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from bookstore.monitor.survey.exposition import Key, Reading

SPAN: Final = 10.0
"""Seconds over which rates are taken."""
FRESH: Final = 5.0
"""Seconds for which a reading says how things are."""


class Flow:
    """The readings of one process, of the last few seconds."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque()
        self.last: Reading | None = None

    def add(self, reading: Reading) -> None:
        """Take a reading. Counts that have become less are those of another life of the process."""
        if self.last and any(reading.counts.get(key, 0.0) < count for key, count in self.last.counts.items()):
            self._readings.clear()
        self.last = reading
        self._readings.append(reading)
        while reading.at - self._readings[0].at > SPAN:
            self._readings.popleft()

    def is_fresh(self, now: float) -> bool:
        """Whether it is known how things are."""
        return self.last is not None and now - self.last.at <= FRESH

    def seconds(self) -> float:
        """How far apart the first and the last reading are."""
        return self._readings[-1].at - self._readings[0].at if self._readings else 0.0

    def grown(self, *key: str) -> float:
        """By how much the counts have grown meanwhile whose keys begin like this."""
        if len(self._readings) < 2:  # noqa: PLR2004 - one says nothing of growth
            return 0.0
        first, last = self._readings[0].counts, self._readings[-1].counts
        return sum(count - first.get(each, 0.0) for each, count in last.items() if each[: len(key)] == key)

    def edges(self, key: Key) -> dict[float, float]:
        """By how much a histogram has grown meanwhile."""
        if len(self._readings) < 2:  # noqa: PLR2004
            return {}
        first, last = self._readings[0].edges.get(key, {}), self._readings[-1].edges.get(key, {})
        return {edge: count - first.get(edge, 0.0) for edge, count in last.items()}


def rate(flows: Iterable[Flow], *key: str) -> float | None:
    """How often a second, over several processes together; None if that isn't known."""
    known = [flow for flow in flows if flow.seconds() > 0]
    return round(sum(flow.grown(*key) / flow.seconds() for flow in known), 2) if known else None


def share(flows: Iterable[Flow], part: Iterable[Key], whole: Key) -> float | None:
    """Which share of the whole the parts are, over several processes together; None of nothing."""
    flows = [*flows]
    total = sum(flow.grown(*whole) for flow in flows)
    if total <= 0:
        return None
    return round(min(1.0, sum(flow.grown(*key) for flow in flows for key in part) / total), 4)


def p95(flows: Iterable[Flow], key: Key) -> float | None:
    """The milliseconds within which 95 of 100 ended, as well as a histogram can tell; None of nothing."""
    edges: dict[float, float] = {}
    for flow in flows:
        for edge, count in flow.edges(key).items():
            edges[edge] = edges.get(edge, 0.0) + count
    total = max(edges.values(), default=0.0)
    if total <= 0:
        return None
    wanted, below, seen = 0.95 * total, 0.0, 0.0
    for edge, count in sorted(edges.items()):
        if count >= wanted and count > seen:
            upper = edge if edge != float("inf") else below
            return round((below + (upper - below) * (wanted - seen) / (count - seen)) * 1000, 1)
        below, seen = edge, count
    return None
