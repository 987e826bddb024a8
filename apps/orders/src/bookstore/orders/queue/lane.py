"""A lane: takes jobs of one kind from the doorbell, does them side by side, and commits what came of them.

Each kind has its own, so that books being away keeps nobody from asking the supplier.

    read -> claim -> work (outside of any transaction) -> finish -> remove the entry

Claims are made and outcomes committed in batches, as large as the load makes them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from bookstore.orders.queue.doorbell import Doorbell, Entry, StreamLost
from bookstore.orders.queue.failpoint import reach
from bookstore.orders.queue.ledger import Ledger
from bookstore.orders.queue.metrics import WorkerMetrics
from bookstore.orders.queue.model import STREAMS, Ended, Job, Kind, Outcome, Parked, pause_after, worn_out
from bookstore.service.database import DatabaseUnavailable
from bookstore.service.tracing import Span
from bookstore.service.tracing.queue import Processing

logger = logging.getLogger(__name__)

Work = Callable[[Job], Awaitable[Outcome]]
_NO_ROOM_PAUSE: Final = 0.1
_MOST_OUTCOMES: Final = 200


class _InHand:
    """A job that is being worked on."""

    __slots__ = ("began", "entry", "job", "outcome", "task")

    def __init__(self, job: Job, entry: bytes) -> None:
        self.job = job
        self.entry = entry
        self.began = monotonic()
        self.outcome: Outcome | None = None
        self.task: asyncio.Task[None] | None = None


class Lane:
    """Jobs of one kind.

    Args:
        kind: Which.
        ledger: Where they are claimed and finished.
        doorbell: Where they are heard of.
        metrics: Are told what came of each.
        work: Does one job; what it raises is an error of ours.
        room: How many more jobs to take, given how many are in hand.
        lease: Seconds after which another worker may take over from one that isn't heard of.
        most_claims: How many claims of a job may come to nothing before it is given up.
    """

    def __init__(
        self,
        kind: Kind,
        ledger: Ledger,
        doorbell: Doorbell,
        metrics: WorkerMetrics,
        *,
        work: Work,
        room: Callable[[int], int],
        lease: float,
        most_claims: int,
    ) -> None:
        self._kind: Kind = kind
        self._ledger = ledger
        self._doorbell = doorbell
        self._work = work
        self._room = room
        self._metrics = metrics
        self._lease = lease
        self._most_claims = most_claims
        self._trusted = False
        self._read_again = False
        self._unclaimed: list[Entry] = []
        self._in_hand: dict[int, _InHand] = {}
        self._outcomes: list[_InHand] = []
        self._worked = asyncio.Event()
        self._freed = asyncio.Event()
        self._polled = monotonic()
        self.turned = monotonic()
        """When the reading last came round, whether it read anything or failed."""
        metrics.watch(kind, lambda: len(self._in_hand), lambda: monotonic() - self._polled)

    # -- taking jobs

    async def read(self) -> float:
        """Take what there is room for; gives the seconds until the next look.

        A process that dies after reading leaves entries pending that nobody claimed: their jobs are rung for
        again when they are found idle.
        """
        try:
            if not self._trusted:
                await self._doorbell.check()
                self._trusted = True
            if self._read_again:
                known = {held.entry for held in self._in_hand.values()}
                given = await self._doorbell.read_again()
                self._unclaimed = [entry for entry in given if entry.id not in known]
                self._read_again = False
            if not self._unclaimed:
                room = self._room(len(self._in_hand))
                if room <= 0:
                    await self._wait_for_room()
                    return 0.0
                self._unclaimed = await self._doorbell.read(room)
                self._polled = monotonic()
            if self._unclaimed:
                reach(self._kind, "read")
                await self._claim()
        except StreamLost:
            logger.info("there was no stream; all that is due is rung for again", extra={"kind": self._kind})
            await self._ledger.unpublish_all(self._kind)
        except Exception:
            self._trusted, self._read_again = False, True
            raise
        finally:
            self.turned = monotonic()
        return 0.0

    async def _wait_for_room(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(_NO_ROOM_PAUSE):
                await self._freed.wait()
        except TimeoutError:
            pass

    async def _claim(self) -> None:
        entries = {entry.job_id: entry.id for entry in self._unclaimed}
        jobs = await self._ledger.claim(self._kind, list(entries), self._lease)
        reach(self._kind, "claim")
        taken = {entries[job.id] for job in jobs}
        others = [entry.id for entry in self._unclaimed if entry.id not in taken]
        self._unclaimed = []
        for job in jobs:
            self._begin(_InHand(job, entries[job.id]))
        # Finished, parked, or in somebody else's hands: the ledger rings again if ever there is need.
        await self._doorbell.remove(others)

    def _begin(self, held: _InHand) -> None:
        self._in_hand[held.job.id] = held
        if held.job.attempts > self._most_claims:
            self._end(held, worn_out(self._kind, held.job.attempts - 1))
        else:
            held.task = asyncio.create_task(self._run(held))

    async def _run(self, held: _InHand) -> None:
        job = held.job
        work = Processing(
            STREAMS[self._kind],
            job.id,
            request_id=f"job-{job.id}-{job.token}",
            made_in=job.traceparent,
            delivery=job.token,
        )
        with work as span:
            try:
                outcome = await self._work(job)
            except asyncio.CancelledError:
                outcome = Parked("handed back by a worker that left", 0.0)
            except Exception as error:
                logger.exception("a job failed by an error of ours", extra={"job_id": job.id})
                cause = f"internal error: {type(error).__name__}"
                outcome = Parked(cause, pause_after(job.episodes), "other", forgiven=False)
            if span:
                _show(span, outcome)
        self._end(held, outcome)

    def _end(self, held: _InHand, outcome: Outcome) -> None:
        held.outcome = outcome
        self._outcomes.append(held)
        self._worked.set()

    # -- finishing them

    async def finish(self) -> float:
        """Commit the outcomes that there are; gives the seconds until the next look.

        A process that dies before the commit leaves jobs whose lease runs out, and the supplier is asked
        again under the same key. One that dies after it leaves an entry whose job is finished, and that is
        removed when it is found idle.
        """
        await self._worked.wait()
        batch = self._outcomes[:_MOST_OUTCOMES]
        reach(self._kind, "call")
        try:
            fenced = await self._ledger.keep(_outcomes(batch))
        except DatabaseUnavailable:
            raise
        except Exception:
            # One of them can't be kept: the others must not suffer for it.
            logger.exception("outcomes can't be kept together", extra={"kind": self._kind})
            fenced = await self._keep_singly(batch)
        reach(self._kind, "finish")
        del self._outcomes[: len(batch)]
        if not self._outcomes:
            self._worked.clear()
        for held in batch:
            self._let_go(held, held.job.id in fenced)
        try:
            await self._doorbell.remove([held.entry for held in batch])
        except Exception:
            self._read_again = True
            raise
        reach(self._kind, "ack")
        return 0.0

    async def _keep_singly(self, batch: list[_InHand]) -> frozenset[int]:
        """Keep each by itself. One that can't be is left to its lease, and in the end to the dead letters."""
        fenced: set[int] = set()
        for held in batch:
            try:
                fenced |= await self._ledger.keep(_outcomes([held]))
            except DatabaseUnavailable:
                raise
            except Exception:
                logger.exception("an outcome can't be kept", extra={"job_id": held.job.id})
        return frozenset(fenced)

    def _let_go(self, held: _InHand, fenced: bool) -> None:  # noqa: FBT001 - private
        job, outcome = held.job, held.outcome
        if self._in_hand.get(job.id) is held:
            del self._in_hand[job.id]
        self._freed.set()
        if outcome is None:
            return
        if fenced:
            self._metrics.fenced(outcome)
            logger.warning("an outcome came too late", extra={"job_id": job.id, "token": job.token})
        else:
            self._metrics.ended(self._kind, outcome, monotonic() - held.began)

    # -- holding on to them

    async def renew(self) -> float:
        """Renew the leases of all jobs in hand; gives the seconds until the next time.

        A worker whose lease was lost isn't told: what it brings in the end is refused by the ledger.
        """
        if self._in_hand:
            await self._ledger.renew([held.job for held in self._in_hand.values()], self._lease)
        return self._lease / 3

    async def tidy(self) -> float:
        """Remove what dead workers left in the stream; gives the seconds until the next time.

        Their jobs are made due first: dying in between leaves the entries for the next who tidies.
        """
        while stale := await self._doorbell.stale(self._lease):
            await self._ledger.unpublish([entry.job_id for entry in stale])
            await self._doorbell.remove([entry.id for entry in stale])
        await self._doorbell.forget_the_dead()
        return self._lease / 2

    # -- leaving

    async def hand_back(self, patience: float) -> None:
        """Finish what is in hand, for `patience` seconds; give back the rest, and leave nothing pending.

        `read` must not run any more; `finish` must still.
        """
        entries, self._unclaimed = self._unclaimed, []
        if entries:
            await self._ledger.unpublish([entry.job_id for entry in entries])
            await self._doorbell.remove([entry.id for entry in entries])
        tasks = [held.task for held in self._in_hand.values() if held.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
        while self._in_hand:
            await self._wait_for_room()
        await self._doorbell.leave()


def _show(span: Span, outcome: Outcome) -> None:
    span.set("bookstore.outcome", outcome.to if isinstance(outcome, Ended) else type(outcome).__name__)
    if outcome.trouble:
        span.fail(outcome.trouble)


def _outcomes(batch: list[_InHand]) -> list[tuple[Job, Outcome]]:
    return [(held.job, held.outcome) for held in batch if held.outcome is not None]
