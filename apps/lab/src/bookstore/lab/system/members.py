"""Those who work here, and the command of accounts that makes them.

A password goes to that command through its standard input: no list of processes and no log shows it.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bookstore.lab.system.ahead import Ahead
    from bookstore.stores.process import Program


@dataclass(frozen=True, kw_only=True)
class Member:
    """Somebody who works here, by the names that accounts takes."""

    email: str
    role: str
    password: str


async def make_members(members: Sequence[Member], making: Ahead, credentials: Path) -> list[str]:
    """Make those who aren't there yet, by a program for all; gives what accounts says of each.

    A password was written down before this is called, and that its owner was made is written down after.
    If we die in between, the next start tries again, and accounts is content with who is there.

    Raises:
        LabError: accounts refuses.
    """
    code, said = await making.tell("".join(f"{json.dumps(asdict(member))}\n" for member in members))
    if code:
        raise LabError(
            f"{', '.join(member.email for member in members)} couldn't be made.",
            "Try `bookstore accounts create-user --help`.",
            Exit.SERVICE,
            tuple(said[-5:]),
        )
    known = Credentials.load(credentials)
    known.accounts_made = sorted({*known.accounts_made, *(member.email for member in members)})
    known.write(credentials)
    return said


MAKING = "create-users"
"""The command of accounts that makes them."""


def run_command(accounts: Program, words: list[str]) -> int:
    """Run accounts' own command on this terminal; gives its exit code."""
    return subprocess.run(  # noqa: S603 - our own program
        [*accounts.argv, *words], cwd=accounts.folder, env=dict(accounts.environment), check=False
    ).returncode
