"""What is done once: databases get their tables, and those who work here are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bookstore.lab.failures import LabError
from bookstore.lab.system.ahead import Ahead
from bookstore.lab.system.members import MAKING, make_members
from bookstore.lab.system.plan import migration
from bookstore.lab.system.topology import ACCOUNTS, ACCOUNTS_DATABASE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bookstore.lab.system.plan import Plan


class FirstStart:
    """Does it beside the start of everything else, by two programs that have loaded by then."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._migration = Ahead(migration(plan.folder))
        accounts = (part.program for part in plan.parts if part.row.name == ACCOUNTS)
        self._making = next((Ahead(program, MAKING) for program in accounts), None)

    async def load(self) -> None:
        """Have the programs loaded, if this looks like a first start."""
        if {member.email for member in self._plan.members} <= self._plan.members_made:
            return
        if self._plan.tables:
            await self._migration.start()
        if self._making is not None:
            await self._making.start()

    async def make_tables(self, fresh: list[str]) -> None:
        """Give new databases their tables. If it fails, their apps try again, and say why they can't."""
        wanted = [
            f"{self._plan.tables[database.name]} {database.url(self._plan.administrator_url)}\n"
            for database in self._plan.databases
            if database.name in fresh and database.name in self._plan.tables
        ]
        if wanted:
            code, said = await self._migration.tell("".join(wanted))
            for line in said if code else ():
                self._say(line)

    async def make_members(self, fresh: list[str], accounts: Callable[[], Awaitable[None]]) -> None:
        """Make those who work here, unless an earlier start has, in a database that is still there.

        It needs accounts' tables, not accounts. If it fails it is tried once more when `accounts` is there:
        the service itself says best what is in its way, and may be putting that right just now.
        """
        made = frozenset[str]() if ACCOUNTS_DATABASE in fresh else self._plan.members_made
        members = [member for member in self._plan.members if member.email not in made]
        if not members or self._making is None:
            return
        credentials = self._plan.folder.credentials
        try:
            said = await make_members(members, self._making, credentials)
        except LabError:
            await accounts()
            said = await make_members(members, self._making, credentials)
        for line in said:
            self._say(line)

    def end(self) -> None:
        """End what still waits."""
        for helper in (self._migration, self._making):
            if helper is not None:
                helper.end()
