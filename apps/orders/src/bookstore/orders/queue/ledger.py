"""The ledger's SQL: which jobs are due, whose they are, and what came of them.

A row that isn't finished is in one of four conditions. It is new, or back: nobody has rung for it. It is
published: the bell has rung (`published_at`). It is leased: a worker has claimed it (`lease_until`). Or it
is parked (`due_at` lies ahead). `publish` is one predicate over all of them and so the whole of durability:
there is no cursor that could skip a row, and no state outside of the row that could be lost.

The token counts the claims. Whoever wants to finish, park or renew names the token of its claim, and if
there was another claim since, nothing happens.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from bookstore.contracts.orders import NewLine
from bookstore.orders.life import Change, Claim, change
from bookstore.orders.queue.model import Ended, Job, Kind, Outcome, Parked, Settled, told
from bookstore.service.database import Connection, Database

Reason = Literal["new", "retry", "lost", "lease"]


class Due(NamedTuple):
    """A job that is due: why, and in which trace it was made."""

    reason: Reason
    traceparent: str | None


Finished = Sequence[tuple[Job, Outcome]]


class Ledger:
    """The jobs that orders are owed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, kind: Kind, limit: int, republish: float) -> dict[int, Due]:
        """Mark due jobs as published, and tell why each is due.

        One that dies after the commit and before it rings leaves rows that nobody was told of: they are due
        again after `republish` seconds.
        """
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "WITH due AS ("
                "  SELECT id, published_at, lease_until, token FROM ledger"
                "  WHERE kind = %s AND finished_at IS NULL AND due_at <= now()"
                "   AND (lease_until IS NULL OR lease_until < now())"
                "   AND (published_at IS NULL OR published_at < now() - make_interval(secs => %s))"
                "   AND (SELECT paused_at IS NULL FROM queue)"
                "  ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)"
                " UPDATE ledger l SET published_at = now(), lease_until = NULL FROM due WHERE l.id = due.id"
                " RETURNING l.id, CASE WHEN due.lease_until IS NOT NULL THEN 'lease'"
                "  WHEN due.published_at IS NOT NULL THEN 'lost'"
                "  WHEN due.token > 0 THEN 'retry' ELSE 'new' END, l.traceparent",
                (kind, republish, limit),
            )
            return {job_id: Due(reason, made_in) for job_id, reason, made_in in await cursor.fetchall()}

    async def unpublish(self, job_ids: Sequence[int]) -> None:
        """Make these jobs due at once: what was rung for them is lost, or was given back."""
        async with self._database.connection() as connection:
            await connection.execute(
                "WITH mine AS ("
                "  SELECT id FROM ledger"
                "  WHERE id = ANY(%s) AND finished_at IS NULL AND published_at IS NOT NULL"
                "  FOR UPDATE SKIP LOCKED)"
                " UPDATE ledger l SET published_at = NULL FROM mine WHERE l.id = mine.id",
                (list(job_ids),),
            )

    async def unpublish_all(self, kind: Kind) -> None:
        """Make all published jobs due at once: the stream is gone."""
        async with self._database.connection() as connection:
            await connection.execute(
                "WITH mine AS ("
                "  SELECT id FROM ledger WHERE kind = %s AND finished_at IS NULL AND published_at IS NOT NULL"
                "  FOR UPDATE SKIP LOCKED)"
                " UPDATE ledger l SET published_at = NULL FROM mine WHERE l.id = mine.id",
                (kind,),
            )

    async def claim(self, kind: Kind, job_ids: Sequence[int], lease: float) -> list[Job]:
        """Lease those of these jobs that are free. The others are finished, parked, or somebody else's.

        Attempts are counted here, before anything is done, so that a job that kills its process counts too.
        One that dies after the commit leaves jobs whose lease runs out.
        """
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "WITH free AS ("
                "  SELECT id FROM ledger WHERE id = ANY(%s) AND kind = %s AND finished_at IS NULL"
                "   AND due_at <= now() AND (lease_until IS NULL OR lease_until < now())"
                "   AND (SELECT paused_at IS NULL FROM queue)"
                "  FOR UPDATE SKIP LOCKED),"
                " claimed AS ("
                "  UPDATE ledger l SET token = token + 1, attempts = attempts + 1, state = 'ready',"
                "   published_at = NULL, lease_until = now() + make_interval(secs => %s)"
                "  FROM free WHERE l.id = free.id RETURNING l.*)"
                " SELECT c.id, c.token, c.order_id, c.attempts, c.episodes, c.traceparent,"
                "  CASE WHEN c.reserve THEN o.reservation_id ELSE c.reservation_id END,"
                "  c.settlement, c.reserve, i.books, i.quantities"
                " FROM claimed c JOIN orders o ON o.id = c.order_id, LATERAL ("
                "  SELECT array_agg(book_id ORDER BY line) AS books,"
                "   array_agg(quantity ORDER BY line) AS quantities"
                "  FROM order_lines WHERE order_id = c.order_id) i",
                (list(job_ids), kind, lease),
            )
            rows = await cursor.fetchall()
        return [
            Job(
                id=job_id, token=token, kind=kind, order_id=order_id, attempts=attempts, episodes=episodes,
                traceparent=traceparent, reservation_id=reservation, settlement=settlement, reserve=reserve,
                items=[NewLine(book_id=book, quantity=n) for book, n in zip(books, counts, strict=True)],
            )
            for job_id, token, order_id, attempts, episodes, traceparent, reservation, settlement, reserve,
            books, counts in rows
        ]  # fmt: skip

    async def renew(self, jobs: Sequence[Job], lease: float) -> None:
        """Hold on to the jobs that are still ours for another lease."""
        async with self._database.connection() as connection:
            await connection.execute(
                "WITH mine AS ("
                "  SELECT l.id FROM ledger l JOIN unnest(%s::bigint[], %s::bigint[]) AS a (id, token)"
                "   ON l.id = a.id AND l.token = a.token"
                "  WHERE l.finished_at IS NULL AND l.due_at <= now() FOR UPDATE OF l SKIP LOCKED)"
                " UPDATE ledger l SET lease_until = now() + make_interval(secs => %s)"
                " FROM mine WHERE l.id = mine.id",
                ([job.id for job in jobs], [job.token for job in jobs], lease),
            )

    async def keep(self, finished: Finished) -> frozenset[int]:
        """Commit what came of these jobs, and give the ids of those that are no longer ours.

        It may be called again when its answer was lost: what was kept the first time counts as kept.
        """
        ended = [(job, outcome) for job, outcome in finished if isinstance(outcome, Ended)]
        settled = [(job, outcome) for job, outcome in finished if isinstance(outcome, Settled)]
        parked = [(job, outcome) for job, outcome in finished if isinstance(outcome, Parked)]
        kept: set[int] = set()
        async with self._database.connection() as connection:
            if ended:
                kept |= await _end(connection, ended)
            if settled:
                kept |= await _settle(connection, settled)
            if parked:
                kept |= await _park(connection, parked)
            if len(kept) < len(finished):
                kept |= await _kept_before(connection, finished)
        return frozenset(job.id for job, _ in finished if job.id not in kept)

    async def expire(self, deadline: float, limit: int = 500) -> int:
        """Fail orders whose validation took longer than `deadline` seconds; those in hand are left alone."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "SELECT order_id, id, token FROM ledger"
                " WHERE kind = 'validate' AND finished_at IS NULL"
                "  AND created_at < now() - make_interval(secs => %s)"
                "  AND (lease_until IS NULL OR lease_until < now())"
                "  AND (SELECT paused_at IS NULL FROM queue)"
                " ORDER BY created_at LIMIT %s",
                (deadline, limit),
            )
            late = [
                Change(
                    order_id=order_id,
                    to="Failed",
                    cause=f"not validated within {deadline:g} s",
                    claim=Claim(job_id, token),
                )
                for order_id, job_id, token in await cursor.fetchall()
            ]
            return len(await change(connection, late)) if late else 0


async def _end(connection: Connection, ended: Sequence[tuple[Job, Ended]]) -> set[int]:
    changes = [
        Change(order_id=job.order_id, to=outcome.to, cause=told(outcome.cause), claim=job.claim)
        for job, outcome in ended
    ]
    changed = await change(connection, changes)
    return {job.id for job, _ in ended if job.order_id in changed}


async def _settle(connection: Connection, settled: Sequence[tuple[Job, Settled]]) -> set[int]:
    cursor = await connection.execute(
        "UPDATE ledger l SET state = a.state, cause = a.cause, finished_at = now(), lease_until = NULL"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[]) AS a (id, token, state, cause)"
        " WHERE l.id = a.id AND l.token = a.token AND l.finished_at IS NULL RETURNING l.id",
        (
            [job.id for job, _ in settled],
            [job.token for job, _ in settled],
            [outcome.state for _, outcome in settled],
            [outcome.cause and told(outcome.cause) for _, outcome in settled],
        ),
    )
    return {job_id for (job_id,) in await cursor.fetchall()}


async def _park(connection: Connection, parked: Sequence[tuple[Job, Parked]]) -> set[int]:
    cursor = await connection.execute(
        "UPDATE ledger l SET state = 'parked', cause = a.cause,"
        "  due_at = now() + make_interval(secs => a.pause),"
        "  lease_until = NULL, published_at = NULL, attempts = l.attempts - a.forgiven::int,"
        "  episodes = l.episodes + a.failed::int"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::float[], %s::bool[], %s::bool[])"
        "  AS a (id, token, cause, pause, failed, forgiven)"
        " WHERE l.id = a.id AND l.token = a.token AND l.finished_at IS NULL RETURNING l.id",
        (
            [job.id for job, _ in parked],
            [job.token for job, _ in parked],
            [told(outcome.cause) for _, outcome in parked],
            [outcome.seconds for _, outcome in parked],
            [outcome.trouble is not None for _, outcome in parked],
            [outcome.forgiven for _, outcome in parked],
        ),
    )
    return {job_id for (job_id,) in await cursor.fetchall()}


async def _kept_before(connection: Connection, finished: Finished) -> set[int]:
    """Which of these outcomes stand in the ledger already."""
    cursor = await connection.execute(
        "SELECT l.id FROM ledger l"
        " JOIN unnest(%s::bigint[], %s::bigint[], %s::text[]) AS a (id, token, state)"
        " ON l.id = a.id AND l.token = a.token AND l.state = a.state",
        (
            [job.id for job, _ in finished],
            [job.token for job, _ in finished],
            [_state_after(outcome) for _, outcome in finished],
        ),
    )
    return {job_id for (job_id,) in await cursor.fetchall()}


def _state_after(outcome: Outcome) -> str:
    match outcome:
        case Ended(to="Failed"):
            return "dead"
        case Ended():
            return "done"
        case Settled(state=state):
            return state
        case Parked():
            return "parked"
