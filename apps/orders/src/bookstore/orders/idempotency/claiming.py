"""Keys that arrive together are claimed together: one statement, and one commit.

A process that dies before the commit leaves nothing of it; one that dies after it leaves claims that are
taken over when they are old enough (see `store`). A claim whose request was given up meanwhile is forgotten.
Whatever joins the table of keys is planned each time, as `store` says.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import psycopg

from bookstore.orders.idempotency.model import Claim, Given, KeyInUse, KeyReused
from bookstore.service.batch import Batch
from bookstore.service.database import Connection, Database, DatabaseUnavailable
from bookstore.service.problem import Problem

ABANDONED: Final = 3.0
"""Seconds after which nobody works on a request any more: it was answered before, well or not."""

_PATIENCE = 0.8
"""Longer than a lock is waited for, so that what is locked is told from what is frozen."""
_ACQUIRE = 0.3
_LINGER = 0.003
"""Seconds that a statement right after another waits for more keys."""

Found = Literal["claimed"] | Given | Problem


class _Asked(msgspec.Struct, eq=False):
    """A claim that a request waits for."""

    claim: Claim
    wanted: bool = True
    """Whether the request still waits."""


class Claiming:
    """Claims keys that are kept for `kept` seconds."""

    def __init__(self, database: Database, *, kept: float) -> None:
        self._database = database
        self._kept = kept
        self._claims = Batch(self._together, width=1, patience=2 * (_PATIENCE + _ACQUIRE), linger=_LINGER)

    async def claim(self, claim: Claim) -> Given | None:
        """Take a key for the request under way; gives the answer instead, if there is one already.

        Of several that come at once one gets the claim.

        Raises:
            KeyReused: if it was used with another body.
            KeyInUse: if a request under it is under way.
        """
        asked = _Asked(claim)
        try:
            found = await self._claims.load(asked)
        except TimeoutError as error:
            raise DatabaseUnavailable("too many keys wait to be claimed") from error
        finally:
            asked.wanted = False
        if isinstance(found, Problem):
            raise found
        if found is None:
            raise KeyInUse
        return None if found == "claimed" else found

    async def _together(self, waiting: Sequence[_Asked]) -> dict[_Asked, Found]:
        asked = [each for each in waiting if each.wanted]
        if not asked:
            return {}
        async with self._database.connection(_PATIENCE) as connection:
            try:
                return await self._claim(connection, asked)
            except psycopg.errors.LockNotAvailable:
                if len(asked) == 1:
                    raise
        # Somebody holds on to one of them: each by itself, so that it is only that one.
        alone = await asyncio.gather(*(self._together([each]) for each in asked), return_exceptions=True)
        found: dict[_Asked, Found] = {}
        for each, outcome in zip(asked, alone, strict=True):
            if isinstance(outcome, dict):
                found |= outcome
            else:
                found[each] = DatabaseUnavailable(str(outcome))
        return found

    async def _claim(self, connection: Connection, asked: Sequence[_Asked]) -> dict[_Asked, Found]:
        # Of two with one key the first is asked for, and the other finds it there.
        first: dict[tuple[str, str], Claim] = {}
        for each in asked:
            first.setdefault(_name(each.claim), each.claim)
        cursor = await connection.execute(
            "INSERT INTO idempotency_keys AS known (scope, key, fingerprint, token)"
            " SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::uuid[]) ORDER BY 1, 2"
            " ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
            "  token = excluded.token, claimed_at = now(), order_id = NULL, answer = NULL"
            " WHERE known.claimed_at < now() - %s * interval '1 second'"
            "  OR (known.answer IS NULL AND known.claimed_at < now() - %s * interval '1 second')"
            " RETURNING token",
            (
                [scope for scope, _ in first],
                [text for _, text in first],
                [claim.key.fingerprint for claim in first.values()],
                [claim.token for claim in first.values()],
                self._kept,
                ABANDONED,
            ),
        )
        tokens = {token for (token,) in await cursor.fetchall()}
        claimed = [each for each in asked if each.claim.token in tokens]
        if late := [each.claim for each in claimed if not each.wanted]:
            await forget(connection, late)
        found: dict[_Asked, Found] = dict.fromkeys(claimed, "claimed")
        if others := [each for each in asked if each not in found]:
            found |= await self._taken(connection, others)
        return found

    @staticmethod
    async def _taken(connection: Connection, others: Sequence[_Asked]) -> dict[_Asked, Found]:
        """What there is to say of keys that are somebody's already."""
        cursor = await connection.execute(
            "SELECT scope, key, fingerprint, order_id, answer FROM idempotency_keys"
            " JOIN unnest(%s::text[], %s::text[]) AS asked (scope, key) USING (scope, key)",
            ([each.claim.key.scope for each in others], [each.claim.key.text for each in others]),
            prepare=False,
        )
        known = {(scope, text): rest for scope, text, *rest in await cursor.fetchall()}
        return {each: _told(each.claim, known.get(_name(each.claim))) for each in others}


def _name(claim: Claim) -> tuple[str, str]:
    return claim.key.scope, claim.key.text


def _told(claim: Claim, row: Sequence[object] | None) -> Given | Problem:
    if row is None:
        return KeyInUse()  # forgotten in this very moment: the next one gets it
    known, order_id, answer = row
    if known != claim.key.fingerprint:
        return KeyReused()
    if not isinstance(order_id, int) or not isinstance(answer, bytes):
        return KeyInUse()
    return Given(order_id, answer)


async def forget(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give claims up: their requests were refused, and may come again. An answered key stays."""
    await connection.execute(
        "DELETE FROM idempotency_keys k USING unnest(%s::text[], %s::text[], %s::uuid[])"
        "  AS given (scope, key, token)"
        " WHERE k.scope = given.scope AND k.key = given.key AND k.token = given.token AND k.answer IS NULL",
        (
            [claim.key.scope for claim in claims],
            [claim.key.text for claim in claims],
            [claim.token for claim in claims],
        ),
        prepare=False,
    )
