"""SQL of sessions: refresh tokens, and failed logins.

Failures are counted in PostgreSQL, not in Redis: nobody can log in without the database anyway, so this adds
nothing that could be away; all processes share it, and a restart forgets nothing.
"""

from time import perf_counter
from typing import LiteralString

from bookstore.accounts.people.model import User
from bookstore.accounts.sessions.model import PER_ACCOUNT, PER_ADDRESS, WINDOW, Refreshed
from bookstore.service.database import Connection, Database

_WAIT: LiteralString = (
    "WITH late AS (SELECT account, at FROM login_failures WHERE address = %(address)s"
    "  AND at > clock_timestamp() - %(window)s * interval '1 second')"
    "SELECT ceil(extract(epoch FROM greatest("
    " (SELECT at FROM late WHERE account = %(account)s ORDER BY at DESC OFFSET %(own)s LIMIT 1),"
    " (SELECT at FROM late ORDER BY at DESC OFFSET %(all)s LIMIT 1)"
    ") - clock_timestamp()) + %(window)s)::int"
)
_USER = "u.id, u.email, u.name, u.password_hash, u.role, u.customer_id, u.created_at"


class SessionStore:
    """Keeps sessions and counts failures."""

    def __init__(self, database: Database, *, life: int, grace: float) -> None:
        self._database = database
        self._life = life
        self._grace = grace

    async def wait(self, account: bytes, address: str) -> int | None:
        """Seconds until the next try from there is looked at; None if that is now."""
        [(seconds,)] = await self._database.fetch(_WAIT, _parameters(account, address))
        return _seconds(seconds)

    async def failed(self, account: bytes, address: str) -> int | None:
        """Count a failure, unless that many have been counted meanwhile: then gives the seconds to wait.

        Tries that run side by side are counted one by one, over all processes: of a hundred guesses at once,
        five are told that they are wrong, and the others nothing. A process that dies before this commits
        has told nobody of the failure either.
        """
        async with self._database.transaction() as connection:
            seconds = await _one_by_one(connection, account, address)
            if seconds is None:
                await connection.execute(
                    "INSERT INTO login_failures (account, address) VALUES (%s, %s)", (account, address)
                )
        return seconds

    async def begin(
        self, user: User, token: bytes, account: bytes, address: str, *, rehashed: str | None
    ) -> int | bool:
        """Begin a session; False if the password was changed or the user deleted since it was checked.

        Gives the seconds to wait, like `failed`. All in one transaction: a process that dies before its
        commit leaves no session; one that dies after it leaves one that nobody holds the token of.
        """
        async with self._database.transaction() as connection:
            seconds = await _one_by_one(connection, account, address)
            if seconds is not None:
                return seconds
            if not await _still(connection, user):
                return False
            await connection.execute(
                "DELETE FROM login_failures WHERE account = %s AND address = %s", (account, address)
            )
            if rehashed is not None:
                await connection.execute(
                    "UPDATE users SET password_hash = %s WHERE id = %s", (rehashed, user.id)
                )
            await connection.execute(
                "WITH session AS ("
                "  INSERT INTO sessions (user_id, expires_at)"
                "  VALUES (%s, now() + %s * interval '1 second') RETURNING id)"
                " INSERT INTO refresh_tokens (digest, session_id) SELECT %s, id FROM session",
                (user.id, self._life, token),
            )
        return True

    async def refresh(
        self, token: bytes, successor: bytes, *, arrived: float
    ) -> tuple[Refreshed, User | None]:
        """Put `successor` in the place of `token`.

        Requests with the same token queue up for its row, so exactly one wins. One that comes late is a
        double-submit if it had arrived (by this process's `perf_counter`) when the winner was through, or
        within the grace after; later than that, the token has been in two hands, and the session ends.

        A process that dies before the commit changed nothing; after it, before the answer, the client holds a
        used token: its next try ends the session, and it must log in again. That is the safe side.
        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT r.session_id, r.used_at IS NOT NULL,"
                " now() - %s * interval '1 second' <= r.used_at + %s * interval '1 second',"
                " s.ended_at IS NULL AND s.expires_at > now() AND u.active,"
                f" {_USER} FROM refresh_tokens r"
                " JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id"
                " WHERE r.digest = %s FOR UPDATE OF r, s",
                (perf_counter() - arrived, self._grace, token),
            )
            row = await cursor.fetchone()
            if row is None or not row[3]:
                return "unknown", None
            session_id, used, early = row[:3]
            if used and early:
                return "superseded", None
            if used:
                await connection.execute(
                    "UPDATE sessions SET ended_at = now(), ended_by = 'reuse' WHERE id = %s", (session_id,)
                )
                return "reused", None
            await connection.execute(
                "UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE digest = %s", (token,)
            )
            await connection.execute(
                "INSERT INTO refresh_tokens (digest, session_id) VALUES (%s, %s)", (successor, session_id)
            )
        return "refreshed", User(**dict(zip(User.__struct_fields__, row[4:], strict=True)))

    async def end(self, token: bytes) -> None:
        """End the session that a refresh token belongs to, a used one's as well."""
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE sessions SET ended_at = now(), ended_by = 'logout' WHERE ended_at IS NULL AND id ="
                " (SELECT session_id FROM refresh_tokens WHERE digest = %s)",
                (token,),
            )

    async def change_password(self, user: User, password_hash: str) -> bool:
        """Set a new password and end all sessions, together; False if it was changed meanwhile."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "UPDATE users SET password_hash = %s, updated_at = now()"
                " WHERE id = %s AND active AND password_hash = %s",
                (password_hash, user.id, user.password_hash),
            )
            if not cursor.rowcount:
                return False
            await connection.execute(
                "UPDATE sessions SET ended_at = now(), ended_by = 'password'"
                " WHERE user_id = %s AND ended_at IS NULL",
                (user.id,),
            )
        return True

    async def sweep(self) -> None:
        """Remove what counts no more; two processes at once do no harm."""
        async with self._database.connection() as connection:
            await connection.execute(
                "DELETE FROM login_failures WHERE at < clock_timestamp() - %s * interval '1 second'",
                (WINDOW,),
            )
        async with self._database.connection() as connection:
            await connection.execute(
                "DELETE FROM sessions WHERE id IN"
                " (SELECT id FROM sessions WHERE expires_at < now() ORDER BY expires_at LIMIT 500)"
            )


async def _one_by_one(connection: Connection, account: bytes, address: str) -> int | None:
    """Hold up other tries from the same address until this transaction ends; gives the seconds to wait."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (address,))
    cursor = await connection.execute(_WAIT, _parameters(account, address))
    [(seconds,)] = await cursor.fetchall()
    return _seconds(seconds)


async def _still(connection: Connection, user: User) -> bool:
    # FOR SHARE: a password change that runs at the same time ends this session too, or makes it fail here.
    cursor = await connection.execute(
        "SELECT FROM users WHERE id = %s AND active AND password_hash = %s FOR SHARE",
        (user.id, user.password_hash),
    )
    return await cursor.fetchone() is not None


def _parameters(account: bytes, address: str) -> dict[str, object]:
    return {
        "account": account,
        "address": address,
        "window": WINDOW,
        "own": PER_ACCOUNT - 1,
        "all": PER_ADDRESS - 1,
    }


def _seconds(found: int | None) -> int | None:
    return None if found is None else max(1, found)
