"""SQL of idempotency keys.

A key goes through at most three states: claimed by a request under way; answered, in the transaction that
keeps the order; forgotten, after a refusal or when its time is over. A process that dies with a claim leaves
it behind, and `ABANDONED` seconds later the next request under the key takes it over. Should the first one
wake up after all, its claim is gone, and with it the order that it was about to keep.

What joins this table is planned each time (`prepare=False`): a plan that was kept from when there were few
keys reads all of them, until PostgreSQL has counted them anew, a minute later or so.
"""

from collections.abc import Sequence

from bookstore.orders.idempotency.claiming import Claiming, forget
from bookstore.orders.idempotency.model import Claim, Given
from bookstore.service.database import Connection, Database

_PATIENCE = 0.5
_SWEPT_AT_ONCE = 500


class ClaimLost(Exception):
    """Another request has taken over a claim: this one must leave nothing behind."""


class KeyStore:
    """Keeps keys for `kept` seconds."""

    def __init__(self, database: Database, *, kept: float) -> None:
        self._database = database
        self._kept = kept
        self.claim = Claiming(database, kept=kept).claim
        """Takes a key for the request under way; see `Claiming.claim`."""

    async def forget(self, claim: Claim) -> None:
        """Give a claim up: its request was refused, and may come again. An answered key stays."""
        async with self._database.connection(_PATIENCE) as connection:
            await forget(connection, [claim])

    async def sweep(self) -> bool:
        """Forget some keys whose time is over; whether there may be more of them.

        Few at a time, and none that a request holds: nobody waits for this.
        """
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY("
                "  SELECT ctid FROM idempotency_keys"
                "  WHERE claimed_at < now() - %s * interval '1 second'"
                "  ORDER BY claimed_at LIMIT %s FOR UPDATE SKIP LOCKED))",
                (self._kept, _SWEPT_AT_ONCE),
            )
            return cursor.rowcount == _SWEPT_AT_ONCE


async def answer(connection: Connection, answers: Sequence[tuple[Claim, Given]]) -> None:
    """Write the answers of claimed keys, in the transaction that keeps what they tell of.

    Raises:
        ClaimLost: if one of them isn't held any more.
    """
    cursor = await connection.execute(
        "UPDATE idempotency_keys k SET order_id = given.order_id, answer = given.answer"
        " FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::bigint[], %s::bytea[])"
        "  AS given (scope, key, token, order_id, answer)"
        " WHERE k.scope = given.scope AND k.key = given.key AND k.token = given.token AND k.answer IS NULL",
        (
            [claim.key.scope for claim, _ in answers],
            [claim.key.text for claim, _ in answers],
            [claim.token for claim, _ in answers],
            [given.order_id for _, given in answers],
            [given.answer for _, given in answers],
        ),
        prepare=False,
    )
    if cursor.rowcount != len(answers):
        raise ClaimLost
