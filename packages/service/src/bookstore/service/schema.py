"""The schema of a service's database: brought to the revision that the code needs, and checked since.

Revisions are numbered (`0001`, `0002`, ...), so that an older process is content with a newer schema while
a new version rolls out. Alembic runs in a process of its own: the serving process never loads it, and a
process that dies half-way leaves nothing behind, because PostgreSQL rolls the whole step back.
"""

import asyncio
import importlib.resources
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import psycopg
import psycopg.errors

from bookstore.service.background import meanwhile
from bookstore.service.database import Database, DatabaseUnavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0


class SchemaBehind(Exception):
    """The database is there, but not at the revision that this code needs."""


def head(package: str) -> str:
    """The newest revision that ships with `package` (`bookstore.books`), by the names of its files."""
    versions = importlib.resources.files(package) / "migrations" / "versions"
    return max(entry.name.split("_")[0] for entry in versions.iterdir() if entry.name[:1].isdigit())


class Schema:
    """The schema that `package` needs in `database`."""

    def __init__(self, database: Database, package: str) -> None:
        self._database = database
        self._package = package
        self._head = head(package)
        self._prepared = True

    async def check(self) -> None:
        """Return if the database answers, is at the needed revision or a newer one, and holds what it should.

        Raises:
            DatabaseUnavailable: if it doesn't answer.
            SchemaBehind: if it does, but can't be used yet.
        """
        await self._check_revision()
        if not self._prepared:
            raise SchemaBehind("the schema is there, what should be in it isn't yet")

    async def _check_revision(self) -> None:
        try:
            rows = await self._database.fetch("SELECT version_num FROM alembic_version")
            found = str(rows[0][0]) if rows else "none"
        except psycopg.errors.UndefinedTable:
            found = "none"
        if found == "none" or found < self._head:
            raise SchemaBehind(f"the schema is at revision {found}, needed is {self._head}")

    async def prepare(self, then: Callable[[], Awaitable[None]] | None = None) -> None:
        """Try until the schema is at the needed revision, then do `then` once; survives any outage."""
        self._prepared = False
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._database.prepare()
                await self._upgrade_if_behind()
                if then:
                    await then()
            except (DatabaseUnavailable, SchemaBehind, psycopg.Error) as error:
                logger.warning("the database is not ready", extra={"cause": str(error)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._prepared = True
                logger.info("the schema is ready", extra={"revision": self._head})
                return

    def preparing(
        self, then: Callable[[], Awaitable[None]] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Prepare in the background for as long as the block runs: a service starts without its database."""
        return meanwhile(self.prepare(then))

    async def _upgrade_if_behind(self) -> None:
        try:
            await self._check_revision()
        except SchemaBehind:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bookstore.service.migrate",
                self._package,
                stdin=asyncio.subprocess.PIPE,
            )
            try:
                await process.communicate(self._database.direct_url.encode())
            finally:
                await _end(process)
            await self._check_revision()


async def _end(process: asyncio.subprocess.Process) -> None:
    """See the child off. One that still works when its service closes is killed: PostgreSQL rolls it back."""
    if process.returncode is None:
        process.kill()
        await process.wait()
