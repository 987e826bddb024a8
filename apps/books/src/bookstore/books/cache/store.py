"""SQL of the row that the replicas share about the cache: its epoch, and until when it is closed."""

from bookstore.service.database import Database

_EPOCH = (
    "(SELECT system_identifier FROM pg_control_system()) || '.' ||"
    " (SELECT oid FROM pg_database WHERE datname = current_database()) || '.' || epoch"
)
"""An epoch of this database: a copy of it elsewhere that uses the same Redis must not share its keys."""


class EpochStore:
    """Reads and writes the row. Whether it is closed still, PostgreSQL's clock says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self) -> tuple[str, bool, str]:
        """The epoch, whether the cache is closed, and at which run of a Redis server it is kept."""
        rows = await self._database.fetch(f"SELECT {_EPOCH}, closed_until > now(), run FROM cache")
        return rows[0][0], rows[0][1], rows[0][2]

    async def keep_at(self, run: str, seconds: float) -> None:
        """Keep the cache at this run from now on. If it was kept at another, it is closed for so long.

        A process that dies here has done all of it, or nothing.
        """
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE cache SET run = %(run)s, epoch = epoch + 1, closed_until ="
                "  CASE WHEN run = '' THEN closed_until ELSE now() + %(seconds)s * interval '1 second' END"
                " WHERE run <> %(run)s",
                {"run": run, "seconds": seconds},
            )

    async def close(self, seconds: float) -> str:
        """Close the cache for so long; the epoch, which is a new one if the cache was open.

        A process that dies here has closed it, or has done nothing.
        """
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "UPDATE cache SET epoch = epoch + (closed_until <= now())::int,"
                f" closed_until = now() + %s * interval '1 second' RETURNING {_EPOCH}",
                (seconds,),
            )
            [epoch] = await cursor.fetchone() or ("",)
            return epoch
