"""A PgBouncer on loopback, for tests: a pooler that gives its connections to one transaction at a time.

It is no part of any wheel: Debian's package `pgbouncer` has it, for one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from bookstore.stores.account import Account, folder_argument, unprivileged
from bookstore.stores.guardian import interpreter_environment
from bookstore.stores.ports import LOOPBACK
from bookstore.stores.postgres import postgres_answers
from bookstore.stores.private import make_private_folder, write_private
from bookstore.stores.process import Program

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIGURATION = """\
[databases]
* = host={host} port={postgres}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


def pgbouncer_program() -> Path | None:
    """Where it is on this machine; None if it isn't."""
    found = shutil.which(
        "pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"
    )
    return Path(found) if found else None


@dataclass(frozen=True, kw_only=True)
class Pgbouncer:
    """Where a PgBouncer lives and how it is started.

    Attributes:
        folder: for its configuration.
        port: the port on loopback.
        direct_urls: those of the databases that it leads to, all of one server.
        size: connections that it makes for each database and user.
        account: the system account to run under: it refuses to be root.
    """

    folder: Path
    port: int
    direct_urls: Sequence[str]
    size: int = 2
    account: Account | None = field(default_factory=unprivileged)

    @property
    def url(self) -> str:
        """The first database, through the pooler."""
        return self.through(self.direct_urls[0])

    def through(self, direct_url: str) -> str:
        """The same database, through the pooler."""
        parts = urlsplit(direct_url)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@{LOOPBACK}:{self.port}"))

    def prepare(self) -> None:
        """Write its configuration."""
        make_private_folder(self.folder, self.account)
        users = {(url.username or "", unquote(url.password or "")) for url in map(urlsplit, self.direct_urls)}
        lines = [f'"{name}" "{password}"\n' for name, password in sorted(users)]
        write_private(self.folder / "users.txt", "".join(lines), self.account)
        text = CONFIGURATION.format(
            host=LOOPBACK,
            port=self.port,
            postgres=urlsplit(self.direct_urls[0]).port,
            folder=folder_argument(self.folder, self.account),
            size=self.size,
        )
        write_private(self.folder / "pgbouncer.ini", text, self.account)

    def program(self) -> Program:
        """Its process."""
        return Program(
            argv=[str(pgbouncer_program()), f"{folder_argument(self.folder, self.account)}/pgbouncer.ini"],
            folder=self.folder,
            environment=interpreter_environment() | {"LC_ALL": "C", "TZ": "UTC"},
            account=self.account,
        )

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether it takes connections now."""
        return postgres_answers(LOOPBACK, self.port, timeout)
