"""What the server itself ends: statements, waits for locks and transactions that take too long.

A direct connection asks for it when it begins. A pooler passes that on to nobody, so there these limits are
the server's own defaults for our user in our database, and every connection that the pooler makes has them.
"""

from typing import Any, Final

import psycopg
from psycopg import sql

LIMITS: Final = {
    "timezone": "UTC",
    "statement_timeout": "2s",
    "lock_timeout": "500ms",
    "idle_in_transaction_session_timeout": "10s",
}
OPTIONS: Final = " ".join(f"-c {name}={value}" for name, value in LIMITS.items())
"""As libpq takes them."""
_LOCK: Final = 0x6C696D74


async def make_default(connection: psycopg.AsyncConnection[Any]) -> None:
    """Make the limits defaults, if they aren't, and have the pooler make new connections.

    Dying half-way leaves nothing changed, or connections of the pooler that are still without limits: these
    end by themselves when the pooler's `server_lifetime` is over.
    """
    async with connection.transaction():
        # Replicas start together: one sets them, the others find them set.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if await _are_default(connection):
            return
        user, database = connection.info.user, connection.info.dbname
        for name, value in LIMITS.items():
            await connection.execute(
                sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
                    sql.Identifier(user), sql.Identifier(database), sql.Identifier(name), value
                )
            )
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = current_user AND datname = current_database() AND state = 'idle'"
    )


async def _are_default(connection: psycopg.AsyncConnection[Any]) -> bool:
    cursor = await connection.execute(
        "SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
        " JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE d.datname = current_database() AND r.rolname = current_user"
        "  AND lower(s.setconfig::text)::text[] @> lower(%s::text[]::text)::text[]",
        ([f"{name}={value}" for name, value in LIMITS.items()],),
    )
    return cursor.rowcount > 0
