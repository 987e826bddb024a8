"""Those who work here, and the command of accounts that makes them.

A password goes to that command through its standard input: no list of processes and no log shows it.
"""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bookstore.stores.process import Program


@dataclass(frozen=True, kw_only=True)
class Member:
    """Somebody who works here."""

    email: str
    role: str
    password: str


async def make_members(members: Iterable[Member], accounts: Program, credentials: Path) -> list[str]:
    """Make those who aren't there yet, all at once; gives what accounts says of each.

    A password was written down before this is called, and that its owner was made is written down after.
    If we die in between, the next start tries again, and accounts is content with who is there.

    Raises:
        LabError: accounts refuses.
    """
    makings = [asyncio.create_task(_make(member, accounts)) for member in members]
    try:
        said = await asyncio.gather(*makings)
    finally:
        for making in makings:
            making.cancel()
    known = Credentials.load(credentials)
    known.accounts_made = sorted({*known.accounts_made, *(member.email for member in members)})
    known.write(credentials)
    return said


async def _make(member: Member, accounts: Program) -> str:
    words = [
        "create-user",
        "--email",
        member.email,
        "--role",
        member.role,
        "--if-missing",
        "--password-stdin",
    ]
    process = await asyncio.create_subprocess_exec(
        *accounts.argv,
        *words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=accounts.folder,
        env=dict(accounts.environment),
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate(member.password.encode() + b"\n")
    finally:
        if process.returncode is None:
            process.kill()
    lines = output.decode(errors="replace").splitlines()
    if process.returncode:
        raise LabError(
            f"{member.email} couldn't be made.",
            "Try `bookstore accounts create-user --help`.",
            Exit.SERVICE,
            tuple(lines[-5:]),
        )
    return lines[-1] if lines else ""


def run_command(accounts: Program, words: list[str]) -> int:
    """Run accounts' own command on this terminal; gives its exit code."""
    return subprocess.run(  # noqa: S603 - our own program
        [*accounts.argv, *words], cwd=accounts.folder, env=dict(accounts.environment), check=False
    ).returncode
