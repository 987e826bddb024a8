"""Calls of the target, through a circuit of their own."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from bookstore.books.circuit.target import BlackHole
from bookstore.resilience import Breaker, Clock, Pipeline, Sink, Timeout
from bookstore.service.upstream import Upstream

PATIENCE = 0.5
FAILURES = 5
OPEN_FOR = 10.0


def circuit(clock: Clock | None = None, sinks: Iterable[Sink] = ()) -> Pipeline:
    """Five failures in a row open it; after ten seconds one call is let through to see how things are."""
    return Pipeline(
        "inventory-demo",
        Breaker(consecutive=FAILURES, open_for=OPEN_FOR, trials=1),
        Timeout(PATIENCE),
        clock=clock,
        sinks=sinks,
    )


class Trial:
    """Calls a target that never answers, each time it is asked to."""

    def __init__(self, sinks: Iterable[Sink] = ()) -> None:
        self.circuit = circuit(sinks=sinks)
        self.call: Callable[[], Awaitable[object]]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Hold the target open, and the way to it."""
        async with BlackHole() as target, Upstream(target.url, timeout=2 * PATIENCE) as upstream:

            async def ask() -> object:
                return await upstream.request("GET", "/")

            self.call = self.circuit(ask)
            yield
