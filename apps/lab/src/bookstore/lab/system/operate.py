"""Hands an operator's words on to the service whose business they are: `bookstore orders queue status`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.credentials import Credentials
from bookstore.lab.system.environment import PLATFORM
from bookstore.lab.system.status import take_status
from bookstore.lab.system.topology import SYSTEM
from bookstore.stores.provision import Database

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bookstore.lab.system.folder import StateFolder

DATABASE = "orders_db"


def orders(words: Sequence[str], folder: StateFolder) -> int:
    """Run the orders service's own command on the running system's database; gives its exit code.

    Raises:
        LabError: nothing runs there, or the words aren't about the queue.
    """
    if words[:1] != ["queue"]:
        raise LabError(
            "`bookstore orders` only has commands for its queue.",
            "Try `bookstore orders queue --help`.",
            Exit.USAGE,
        )
    if asks_for_help(words):
        return hand_on("orders", words, bare())
    postgres = next((row for row in take_status(folder).rows if row.name == "postgres"), None)
    if postgres is None:
        raise LabError(
            f"Nothing runs with its state in {folder.path}.", "Start it: bookstore up", Exit.NOT_RUNNING
        )
    owner = SYSTEM.databases[DATABASE]
    password = Credentials.load(folder.credentials, [owner]).passwords[owner]
    url = Database(DATABASE, owner, password).url(postgres.url)
    return hand_on("orders", words, bare(DATABASE_URL=url))


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether a command only tells of itself: that needs nothing that runs."""
    return not {"-h", "--help"}.isdisjoint(words)


def hand_on(service: str, words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a service's own command on this terminal, with this environment or ours; gives its exit code."""
    command = [sys.executable, "-P", *SYSTEM.service(service).run, *words]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - our own program


def bare(**known: str) -> dict[str, str]:
    """What Python and the system need of our environment, and what is known besides."""
    return {**{name: value for name, value in os.environ.items() if name in PLATFORM}, **known}
