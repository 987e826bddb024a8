"""The keys' SQL."""

from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from bookstore.accounts.keys.model import LINGER, Algorithm, Safe, SigningKey, make
from bookstore.service.database import Connection, Database

_COLUMNS = "kid, algorithm, public, private, sealed, created_at, signs_from, published_until"


class RotationPending(Exception):
    """The key that was made last doesn't sign yet."""


class KeyStore:
    """Keeps signing keys. All times are the database's: processes needn't agree on theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[SigningKey]:
        """Every key, the newest first."""
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM signing_keys ORDER BY signs_from DESC, kid"
        )
        return [_key(*row) for row in rows]

    async def ensure(self, algorithm: Algorithm, safe: Safe) -> None:
        """Make the first key, once, however many processes start together; or none, if one dies here."""
        async with self._database.transaction() as connection:
            await connection.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
            cursor = await connection.execute("SELECT now(), count(*) FROM signing_keys")
            [(now, count)] = await cursor.fetchall()
            if not count:
                await _insert(connection, make(algorithm, safe, now=now, signs_from=now))

    async def rotate(
        self, algorithm: Algorithm, safe: Safe, *, lead: timedelta, at_once: bool = False
    ) -> SigningKey:
        """Make the next key, and set an end to the others.

        It is published now and signs after `lead`, when every verifier knows it; those before it stay
        published until what they signed has expired. One transaction: a process that dies before its commit
        has changed nothing, after it all is done, and nobody needs to come back later.

        `at_once` is for a key that has leaked: the new one signs now, all others are gone now.

        Raises:
            RotationPending: if the last rotation isn't through: a third key would be one too many.
        """
        async with self._database.transaction() as connection:
            await connection.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
            cursor = await connection.execute("SELECT now(), max(signs_from) FROM signing_keys")
            [(now, last)] = await cursor.fetchall()
            if last is not None and last > now and not at_once:
                raise RotationPending(f"the key that was made last signs from {last:%Y-%m-%d %H:%M:%S} UTC")
            signs_from = now if at_once or last is None else now + lead
            key = make(algorithm, safe, now=now, signs_from=signs_from)
            await connection.execute("DELETE FROM signing_keys WHERE published_until < now()")
            await connection.execute(
                "UPDATE signing_keys SET published_until = least(published_until, %s)",
                (now if at_once else signs_from + LINGER,),
            )
            await _insert(connection, key)
        return key


async def _insert(connection: Connection, key: SigningKey) -> None:
    await connection.execute(
        f"INSERT INTO signing_keys ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            key.kid,
            key.algorithm,
            Jsonb(key.public),
            key.private,
            key.sealed,
            key.created_at,
            key.signs_from,
            key.published_until,
        ),
    )


def _key(*columns: Any) -> SigningKey:
    return SigningKey(**dict(zip(SigningKey.__struct_fields__, columns, strict=True)))
