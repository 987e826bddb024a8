"""An order's life: the one room that changes an order's state.

    Processing -> Validated | Rejected | Failed | Cancelled
    Failed     -> Processing, when an operator redrives it

A change is guarded by the state that it comes from. Of several at once the first to commit gets its way, and
the others get nothing. With the state changes all that must never be missing: its row in `order_events`, the
end of the job that brought it, the next job that it gives rise to (stock is committed with a validated order
and released with any other), and the word to those who listen on `CHANNEL`. All of it is one statement. A
process that dies before its commit has changed nothing; one that dies after it has changed everything.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from bookstore.service.database import Connection

CHANNEL: Final = "order_changed"
"""Where PostgreSQL tells the id of each order whose state has changed."""

End = Literal["Validated", "Rejected", "Failed", "Cancelled"]


class _Rule(msgspec.Struct, frozen=True):
    job: Literal["done", "dead", "cancelled"]
    stock: Literal["commit", "release"]


_RULES: Final[dict[End, _Rule]] = {
    "Validated": _Rule(job="done", stock="commit"),
    "Rejected": _Rule(job="done", stock="release"),
    "Failed": _Rule(job="dead", stock="release"),
    "Cancelled": _Rule(job="cancelled", stock="release"),
}


class Claim(msgspec.Struct, frozen=True):
    """A job that a worker has claimed, and the token that it got for it."""

    job_id: int
    token: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is to leave Processing. With a `claim` only as long as the claim stands."""

    order_id: int
    to: End
    cause: str
    claim: Claim | None = None


async def change(connection: Connection, changes: Sequence[Change]) -> frozenset[int]:
    """Make these changes, and give the orders that were changed; what came too late is left out.

    An order is locked before its job, here and wherever both are: no two callers wait for each other.
    """
    rules = [_RULES[each.to] for each in changes]
    claims = [each.claim for each in changes]
    cursor = await connection.execute(
        "WITH asked AS ("
        "  SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],"
        "   %s::text[], %s::text[])"
        "  AS a (order_id, to_state, cause, job_id, token, job_state, settlement)),"
        " held AS MATERIALIZED ("
        "  SELECT o.id, o.reservation_id FROM orders o JOIN asked ON asked.order_id = o.id"
        "  WHERE o.status = 'Processing' ORDER BY o.id FOR UPDATE OF o),"
        " closed AS ("
        "  UPDATE ledger l SET state = asked.job_state, cause = asked.cause, finished_at = now(),"
        "   lease_until = NULL"
        "  FROM asked JOIN held ON held.id = asked.order_id"
        "  WHERE l.order_id = held.id AND l.kind = 'validate' AND l.finished_at IS NULL"
        "   AND (asked.job_id IS NULL OR (l.id = asked.job_id AND l.token = asked.token))"
        "  RETURNING held.id, held.reservation_id, l.traceparent, asked.to_state, asked.cause,"
        "   asked.settlement),"
        " moved AS ("
        "  UPDATE orders o SET status = closed.to_state, updated_at = now()"
        "  FROM closed WHERE o.id = closed.id),"
        " kept AS ("
        "  INSERT INTO order_events (order_id, from_state, to_state, cause)"
        "  SELECT id, 'Processing', to_state, cause FROM closed),"
        " owed AS ("
        "  INSERT INTO ledger (order_id, kind, settlement, reservation_id, traceparent)"
        "  SELECT id, 'settle', settlement, reservation_id, traceparent FROM closed"
        "  WHERE reservation_id IS NOT NULL)"
        " SELECT id, pg_notify(%s, id::text) FROM closed",
        (
            [each.order_id for each in changes],
            [each.to for each in changes],
            [each.cause for each in changes],
            [claim and claim.job_id for claim in claims],
            [claim and claim.token for claim in claims],
            [rule.job for rule in rules],
            [rule.stock for rule in rules],
            CHANNEL,
        ),
    )
    return frozenset(order_id for order_id, _ in await cursor.fetchall())


async def reopen(connection: Connection, job_ids: Sequence[int], cause: str) -> dict[int, int]:
    """Bring the orders of these dead jobs from Failed back to Processing; gives the new job of each order.

    The stock of a failed order was released, so the new job has a reservation of its own to make first.
    """
    cursor = await connection.execute(
        "WITH held AS MATERIALIZED ("
        "  SELECT o.id, o.reservation_id, l.id AS job_id, l.traceparent"
        "  FROM ledger l JOIN orders o ON o.id = l.order_id"
        "  WHERE l.id = ANY(%s) AND l.kind = 'validate' AND l.state = 'dead' AND o.status = 'Failed'"
        "  ORDER BY o.id FOR UPDATE OF o, l),"
        " again AS MATERIALIZED ("
        "  SELECT id, job_id, traceparent,"
        "   CASE WHEN reservation_id IS NOT NULL THEN gen_random_uuid()::text END AS reservation_id"
        "  FROM held),"
        " closed AS (UPDATE ledger l SET state = 'redriven' FROM again WHERE l.id = again.job_id),"
        " moved AS ("
        "  UPDATE orders o SET status = 'Processing', updated_at = now(),"
        "   reservation_id = again.reservation_id FROM again WHERE o.id = again.id),"
        " claimed AS ("
        "  INSERT INTO reservations (id, order_id)"
        "  SELECT reservation_id, id FROM again WHERE reservation_id IS NOT NULL),"
        " kept AS ("
        "  INSERT INTO order_events (order_id, from_state, to_state, cause)"
        "  SELECT id, 'Failed', 'Processing', %s FROM again),"
        " owed AS ("
        "  INSERT INTO ledger (order_id, traceparent, reserve)"
        "  SELECT id, traceparent, reservation_id IS NOT NULL FROM again RETURNING id, order_id)"
        " SELECT owed.order_id, owed.id, pg_notify(%s, owed.order_id::text) FROM owed",
        (list(job_ids), cause, CHANNEL),
    )
    return {order_id: job_id for order_id, job_id, _ in await cursor.fetchall()}
