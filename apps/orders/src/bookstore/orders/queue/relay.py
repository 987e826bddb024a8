"""The relay: rings the bell for every job that is due. It has no state, so any number of them may run."""

from typing import Final

from bookstore.orders.queue.doorbell import Doorbell, StreamLost, Trouble
from bookstore.orders.queue.failpoint import reach
from bookstore.orders.queue.ledger import Ledger
from bookstore.orders.queue.metrics import WorkerMetrics
from bookstore.orders.queue.model import STREAMS, Kind
from bookstore.service.tracing.queue import sent

_BATCH: Final = 500
_LONGEST_STREAM: Final = 2000
"""Entries in the stream beyond which nothing more is rung for: workers have enough to do."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25


class Relay:
    """Rings for the due jobs of one kind."""

    def __init__(
        self, kind: Kind, ledger: Ledger, doorbell: Doorbell, metrics: WorkerMetrics, *, republish: float
    ) -> None:
        self._kind: Kind = kind
        self._ledger = ledger
        self._doorbell = doorbell
        self._metrics = metrics
        self._republish = republish
        self._pause = _LONGEST_PAUSE
        self._moves = 0

    async def round(self) -> float:
        """Ring for what is due; gives the seconds until the next look.

        Marking comes before ringing. A process that dies in between leaves jobs marked that nobody heard of:
        they are rung for again after `republish` seconds. The other way round they would be rung for twice,
        which is harmless too, but would happen at every slow commit.
        """
        # Asked first: while Redis is away, nothing is marked.
        room = _LONGEST_STREAM - await self._doorbell.length()
        if self._moves != (moves := self._doorbell.moves):
            await self._ledger.unpublish_all(self._kind)
            self._moves = moves
        if room <= 0:
            return _LONGEST_PAUSE
        reach(self._kind, "sweep")
        due = await self._ledger.publish(self._kind, min(room, _BATCH), self._republish)
        if not due:
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            return self._pause
        reach(self._kind, "mark")
        try:
            await self._doorbell.ring(due)
        except StreamLost:
            await self._ledger.unpublish_all(self._kind)
            return 0.0
        except Trouble:
            await self._ledger.unpublish(list(due))
            raise
        reach(self._kind, "ring")
        self._metrics.published(self._kind, (job.reason for job in due.values()))
        for job_id, job in due.items():
            if job.reason == "new":
                sent(STREAMS[self._kind], job_id, job.traceparent, together=len(due))
        self._pause = _SHORTEST_PAUSE
        return 0.0 if len(due) == _BATCH else self._pause
