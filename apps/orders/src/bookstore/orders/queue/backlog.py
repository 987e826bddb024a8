"""How much work there is: for health, for metrics, and to tell whether one more order is taken."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Gauge

from bookstore.contracts.health import QueueHealth
from bookstore.orders.queue.metrics import KINDS
from bookstore.service.background import meanwhile
from bookstore.service.database import Database
from bookstore.service.problem import Problem

logger = logging.getLogger(__name__)

_EVERY: Final = 1.0


class QueueFull(Problem):
    """There is more work than orders wants to owe."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "queue-full",
            "too many orders wait for their validation; nothing was ordered",
            headers={"Retry-After": "5"},
        )


class _Part(msgspec.Struct, frozen=True):
    unfinished: int = 0
    age: float = 0.0
    parked: int = 0
    dead: int = 0


class Backlog:
    """The ledger in numbers, counted once a second and not once a request.

    Args:
        database: Where the ledger is.
        most: How many unfinished orders there may be.
        registry: Where the numbers are shown as metrics.
    """

    def __init__(self, database: Database, registry: CollectorRegistry, *, most: int = 0) -> None:
        self._database = database
        self._most = most
        self._parts = {kind: _Part() for kind in KINDS}
        self._admitted = 0
        self._gauges = {
            name: Gauge(f"bookstore_queue_{name}", text, ["kind"], registry=registry)
            for name, text in {
                "depth": "Jobs that aren't finished.",
                "oldest_age_seconds": "Age of the oldest job that isn't finished.",
                "parked": "Jobs that wait for a better time.",
                "dead": "Jobs that were given up.",
            }.items()
        }
        self._show()

    def admits(self) -> None:
        """Count one more order in; call it before anything is done for the order. It costs nothing.

        Raises:
            QueueFull: if there are too many already.
        """
        if self._parts["validate"].unfinished + self._admitted >= self._most:
            raise QueueFull
        self._admitted += 1

    def health(self) -> QueueHealth:
        """Both kinds of work together."""
        parts = self._parts.values()
        return QueueHealth(
            unfinished=sum(part.unfinished for part in parts),
            oldest_age_seconds=round(max(part.age for part in parts), 3),
            parked=sum(part.parked for part in parts),
            dead=sum(part.dead for part in parts),
        )

    async def count(self) -> None:
        """Count now."""
        before = self._admitted
        rows = await self._database.fetch(
            "SELECT k.kind, o.unfinished, o.parked, d.dead, extract(epoch FROM now() - o.oldest)"
            " FROM unnest(%s::text[]) AS k (kind),"
            " LATERAL (SELECT count(*) AS unfinished, count(*) FILTER (WHERE state = 'parked') AS parked,"
            "  min(created_at) AS oldest FROM ledger WHERE kind = k.kind AND finished_at IS NULL) o,"
            " LATERAL (SELECT count(*) AS dead FROM ledger WHERE kind = k.kind AND state = 'dead') d",
            (list(KINDS),),
        )
        self._parts = {
            kind: _Part(unfinished, max(0.0, float(age or 0.0)), parked, dead)
            for kind, unfinished, parked, dead, age in rows
        }
        # Those that were admitted while the count ran may not be in it.
        self._admitted -= before
        self._show()

    def counting(self) -> AbstractAsyncContextManager[None]:
        """Count each second, for as long as the block runs."""
        return meanwhile(self._keep_counting())

    async def _keep_counting(self) -> None:
        well = True
        while True:
            try:
                await self.count()
                well = True
            except Exception as error:  # noqa: BLE001 - what is known stays known
                if well:
                    logger.warning("the queue can't be counted", extra={"cause": str(error)})
                well = False
            await asyncio.sleep(_EVERY)

    def _show(self) -> None:
        for kind, part in self._parts.items():
            self._gauges["depth"].labels(kind).set(part.unfinished)
            self._gauges["oldest_age_seconds"].labels(kind).set(part.age)
            self._gauges["parked"].labels(kind).set(part.parked)
            self._gauges["dead"].labels(kind).set(part.dead)
