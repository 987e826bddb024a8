"""What can be played: batches of calls, a crowd, and the switch of the circuit."""

import asyncio
from collections.abc import Sequence
from itertools import cycle, islice
from time import monotonic
from typing import Final, Literal

from bookstore.contracts.playground import CallResult, CircuitState, Invoked, Stressed
from bookstore.playground.client import ResilientClient
from bookstore.playground.journal import Journal
from bookstore.service.problem import Problem

MIXED: Final = ("/get", "/delay/3", "/status/500")
SLOW: Final = ("/delay/3",)
FINE: Final = ("/get",)
FAILING: Final = ("/status/500",)
MOST_AT_ONCE: Final = 1000
"""Calls that may be under way, all batches together: what is more would only stand in line for minutes."""
CROWD: Final = 12
"""Callers of a crowd: twice as many as there are places."""

_CROWD_PATHS: Final = ("/get", "/delay/1")
_SHOWN: Final[dict[str, Literal["CLOSED", "HALF_OPEN"]]] = {"closed": "CLOSED", "half_open": "HALF_OPEN"}


class Playground:
    """Plays with one client."""

    def __init__(self, client: ResilientClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal
        self._under_way = 0

    async def invoke(self, paths: Sequence[str], count: int) -> Invoked:
        """Call these paths in turn, so many times, all at once.

        Raises:
            Problem: 503, if too many calls are under way already.
        """
        if self._under_way + count > MOST_AT_ONCE:
            raise Problem(503, "busy", f"{self._under_way} calls are under way; come back when they are done")
        self._under_way += count
        try:
            results = await asyncio.gather(*map(self._client.get, islice(cycle(paths), count)))
        finally:
            self._under_way -= count
        return Invoked(requested=count, **_summed(results), results=results)

    async def stress(self, seconds: float) -> Stressed:
        """Let a crowd call for so long: each caller again as soon as it has an answer."""
        before = self._client.counts["calls"]
        self._client.counts["most_at_once"] = self._client.running
        began = monotonic()
        until = began + seconds

        async def caller(paths: Sequence[str]) -> list[CallResult]:
            results: list[CallResult] = []
            for path in cycle(paths):
                if monotonic() >= until:
                    break
                results.append(await self._client.get(path))
            return results

        turns = (_CROWD_PATHS[number % 2 :] + _CROWD_PATHS[: number % 2] for number in range(CROWD))
        results = [each for of_one in await asyncio.gather(*map(caller, turns)) for each in of_one]
        calls, took = self._client.counts["calls"] - before, monotonic() - began
        return Stressed(
            seconds=round(took, 2),
            callers=CROWD,
            requested=len(results),
            **_summed(results),
            calls_to_the_service=calls,
            calls_per_second=round(calls / took, 2),
            most_at_once=self._client.counts["most_at_once"],
            slowest_ms=max(each.elapsed_ms for each in results),
        )

    def circuit(self) -> CircuitState:
        """How the circuit is now."""
        state = self._client.breaker.state
        return CircuitState(
            state=_SHOWN.get(state, "OPEN"),
            fail_count=self._journal.failures_in_a_row,
            opened_at=self._journal.opened_at,
        )

    def force_open(self) -> CircuitState:
        """Open the circuit, until it is reset."""
        self._client.breaker.force_open()
        return self.circuit()

    def reset(self) -> CircuitState:
        """Close the circuit, and forget what was."""
        self._client.breaker.reset()
        return self.circuit()


def _summed(results: Sequence[CallResult]) -> dict[str, int]:
    good = sum(each.source == "service" for each in results)
    return {"successful": good, "fallbacks": len(results) - good}
