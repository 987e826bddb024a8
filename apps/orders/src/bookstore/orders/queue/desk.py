"""The operator's desk: what is in the queue, the dead letters, and what to do with them."""

from collections.abc import Sequence
from typing import Any, Final

from bookstore.contracts.queue import Job, JobEvent, JobHistory, KindStatus, QueueStatus
from bookstore.orders.life import reopen
from bookstore.orders.queue.metrics import KINDS
from bookstore.service.database import Database

BATCH: Final = 500
_COLUMNS: Final = (
    "SELECT l.id, l.kind, l.order_id, o.status, l.state, l.cause, l.attempts, l.episodes, l.created_at,"
    " l.due_at, l.lease_until, l.finished_at, l.settlement, l.reservation_id"
    " FROM ledger l JOIN orders o ON o.id = l.order_id"
)


class Desk:
    """What an operator can see and do. All of it is audited: in the ledger, and in the orders' events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def status(self) -> QueueStatus:
        """How things stand."""
        rows = await self._database.fetch(
            "SELECT k.kind, q.paused_at, o.*, d.dead FROM queue q, unnest(%s::text[]) AS k (kind),"
            " LATERAL (SELECT count(*),"
            "  count(*) FILTER (WHERE state = 'parked' AND published_at IS NULL) AS parked,"
            "  count(*) FILTER (WHERE published_at IS NOT NULL) AS published,"
            "  count(*) FILTER (WHERE lease_until >= now()) AS in_hand,"
            "  extract(epoch FROM now() - min(created_at)) AS age"
            "  FROM ledger WHERE kind = k.kind AND finished_at IS NULL) o,"
            " LATERAL (SELECT count(*) AS dead FROM ledger WHERE kind = k.kind AND state = 'dead') d",
            (list(KINDS),),
        )
        return QueueStatus(
            paused_since=rows[0][1],
            kinds={
                kind: KindStatus(
                    unfinished=unfinished,
                    waiting=unfinished - parked - published - in_hand,
                    published=published,
                    in_hand=in_hand,
                    parked=parked,
                    dead=dead,
                    oldest_age_seconds=round(max(0.0, float(age or 0.0)), 3),
                )
                for kind, _, unfinished, parked, published, in_hand, age, dead in rows
            },
        )

    async def dead(self, limit: int, offset: int) -> tuple[int, list[Job]]:
        """How many dead letters there are, and a page of them, the newest first."""
        [[total]] = await self._database.fetch("SELECT count(*) FROM ledger WHERE state = 'dead'")
        rows = await self._database.fetch(
            _COLUMNS + " WHERE l.state = 'dead' ORDER BY l.id DESC LIMIT %s OFFSET %s",
            (limit, offset),
        )
        return total, [_job(row) for row in rows]

    async def show(self, job_id: int) -> JobHistory | None:
        """A job with all that is known of its order."""
        rows = await self._database.fetch(
            _COLUMNS  # noqa: S608 - a constant
            + " WHERE l.order_id = (SELECT order_id FROM ledger WHERE id = %s) ORDER BY l.id",
            (job_id,),
        )
        jobs = [_job(row) for row in rows]
        job = next((each for each in jobs if each.id == job_id), None)
        if job is None:
            return None
        events = await self._database.fetch(
            "SELECT from_state, to_state, at, cause FROM order_events WHERE order_id = %s ORDER BY id",
            (job.order_id,),
        )
        told = [
            JobEvent(from_state=before, to_state=after, at=at, cause=cause)
            for before, after, at, cause in events
        ]
        return JobHistory(job=job, jobs=jobs, events=told)

    async def redrive(self, job_ids: Sequence[int] | None = None, cause: str = "redriven") -> int:
        """Try dead jobs again, these or all; gives how many.

        A validation gets a new row and its order is Processing again; a settlement goes on in its own row.
        """
        redriven = 0
        for ids in await self._batches(job_ids):
            async with self._database.connection() as connection:
                redriven += len(await reopen(connection, ids, cause))
                cursor = await connection.execute(
                    "UPDATE ledger SET state = 'ready', finished_at = NULL, attempts = 0, episodes = 0,"
                    " due_at = now(), published_at = NULL"
                    " WHERE id = ANY(%s) AND kind = 'settle' AND state = 'dead'",
                    (ids,),
                )
                redriven += cursor.rowcount
        return redriven

    async def purge(self, job_ids: Sequence[int] | None = None) -> int:
        """Put dead jobs away for good, these or all; gives how many. Their orders stay as they are."""
        purged = 0
        for ids in await self._batches(job_ids):
            async with self._database.connection() as connection:
                cursor = await connection.execute(
                    "UPDATE ledger SET state = 'purged' WHERE id = ANY(%s) AND state = 'dead'", (ids,)
                )
                purged += cursor.rowcount
        return purged

    async def pause(self) -> None:
        """Let nothing new be begun; what is in hand comes to its end. Orders are taken as ever."""
        await self._execute_pause(paused=True)

    async def resume(self) -> None:
        """Go on, at once with what was published before the pause."""
        await self._execute_pause(paused=False)

    async def _execute_pause(self, *, paused: bool) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE queue SET paused_at = CASE WHEN %s THEN coalesce(paused_at, now()) END", (paused,)
            )
            if not paused:
                await connection.execute(
                    "WITH mine AS ("
                    "  SELECT id FROM ledger WHERE finished_at IS NULL AND published_at IS NOT NULL"
                    "  FOR UPDATE SKIP LOCKED)"
                    " UPDATE ledger l SET published_at = NULL FROM mine WHERE l.id = mine.id"
                )

    async def _batches(self, job_ids: Sequence[int] | None) -> list[list[int]]:
        """These jobs, or all that are dead now, in batches."""
        if job_ids is None:
            rows = await self._database.fetch("SELECT id FROM ledger WHERE state = 'dead' ORDER BY id")
            job_ids = [job_id for (job_id,) in rows]
        return [list(job_ids[start : start + BATCH]) for start in range(0, len(job_ids), BATCH)]


def _job(row: Sequence[Any]) -> Job:
    names = Job.__struct_fields__
    return Job(**dict(zip(names, row, strict=True)))
