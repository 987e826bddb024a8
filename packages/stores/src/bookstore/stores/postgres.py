"""An embedded PostgreSQL: an ordinary server with its data in one folder, on loopback, behind a password."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil

from bookstore.stores.account import Account, folder_argument
from bookstore.stores.binaries import POSTGRES_MAJOR, postgres_installation
from bookstore.stores.errors import StoreError
from bookstore.stores.guardian import interpreter_environment, start_mark
from bookstore.stores.ports import LOOPBACK
from bookstore.stores.private import make_private_folder, write_private
from bookstore.stores.process import Program

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

ADMINISTRATOR = "postgres"
PROTOCOL_3_0 = 0x0003_0000
STARTING_UP = b"C57P03\0"
INITDB_SECONDS = 60

HBA = """\
# Written by bookstore at each start. Loopback only, and nobody without a password.
host all all 127.0.0.1/32 scram-sha-256
"""

# For a laptop: little memory, few processes. Commits are as durable as they are anywhere.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    "autovacuum_worker_slots": "2",
    "io_method": "sync",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
}

# For tests, whose data may go with the machine's next power cut. Commits stay synchronous: without fsync that
# costs next to nothing, and what was committed is still there after a kill.
CARELESS: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """Where an embedded PostgreSQL lives and how it is started; whoever starts it owns the process.

    Attributes:
        folder: the folder for its data, which `prepare` makes.
        port: the port on loopback.
        password: the administrator's.
        account: the system account to run under (see `unprivileged`).
        durable: False gives up the data's safety for speed, for tests.
    """

    folder: Path
    port: int
    password: str
    account: Account | None = None
    durable: bool = True

    @property
    def url(self) -> str:
        """The administrator's connection URL."""
        return f"postgresql://{ADMINISTRATOR}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/postgres"

    def prepare(self) -> None:
        """Make the data folder if it isn't there, and write the configuration; the server must not run."""
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        self._check()
        self._drop_stale_lock()
        settings = {**SETTINGS, **({} if self.durable else CARELESS), "port": str(self.port)}
        text = "# Written by bookstore at each start; ALTER SYSTEM is the way to change a setting.\n"
        text += "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        write_private(self.folder / "postgresql.conf", text, self.account)
        write_private(self.folder / "pg_hba.conf", HBA, self.account)

    def program(self) -> Program:
        """The server's process. SIGINT ends it in order without waiting for its clients."""
        postgres = postgres_installation(self.account) / "bin" / "postgres"
        return Program(
            argv=[str(postgres), "-D", folder_argument(self.folder, self.account)],
            folder=self.folder,
            environment=interpreter_environment() | {"LC_ALL": "C", "TZ": "UTC"},
            account=self.account,
            stop_signal=signal.SIGINT,
            # It ends its own processes at once, and starts with a recovery next time.
            orphan_signal=signal.SIGQUIT,
        )

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether the server takes connections now."""
        return postgres_answers(LOOPBACK, self.port, timeout)

    def _initialise(self) -> None:
        # Under another name until it is complete: an initdb that was cut short leaves nothing half made.
        working = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(working, ignore_errors=True)
        make_private_folder(self.folder.parent)
        make_private_folder(working, self.account)
        command = [
            str(postgres_installation(self.account) / "bin" / "initdb"),
            f"--pgdata={folder_argument(working, self.account)}",
            f"--username={ADMINISTRATOR}",
            "--auth=scram-sha-256",
            "--pwfile=/dev/stdin",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--wal-segsize=4",
            *(["--data-checksums"] if self.durable else ["--no-data-checksums"]),
            # One sync of all at the end of the whole start is cheaper; see below.
            "--no-sync",
        ]
        with self._password_pipe() as password:
            result = subprocess.run(  # noqa: S603 - the wheel's own initdb
                command,
                stdin=password,
                capture_output=True,
                text=True,
                cwd=working,
                env=interpreter_environment() | {"LC_ALL": "C", "TZ": "UTC"},
                timeout=INITDB_SECONDS,
                check=False,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
        if result.returncode != 0:
            shutil.rmtree(working, ignore_errors=True)
            complaint = " ".join(result.stderr.split()[-40:])
            raise StoreError(
                f"PostgreSQL couldn't make its data folder {self.folder}: {complaint}",
                "Make room on the disk, or choose another state folder.",
            )
        if self.durable:
            os.sync()
        working.rename(self.folder)

    @contextmanager
    def _password_pipe(self) -> Generator[int]:
        """A pipe with the password in it, which the account may open; on a command line all could see it."""
        reader, writer = os.pipe()
        try:
            if self.account is not None:
                os.fchown(reader, self.account.uid, self.account.gid)
            os.write(writer, f"{self.password}\n".encode())
            os.close(writer)
            yield reader
        finally:
            os.close(reader)

    def _check(self) -> None:
        version = (self.folder / "PG_VERSION").read_text().strip()
        if version != POSTGRES_MAJOR:
            raise StoreError(
                f"{self.folder} was made by PostgreSQL {version}, and this is PostgreSQL {POSTGRES_MAJOR}.",
                "Move the data with pg_dump, or start afresh with `bookstore reset`.",
            )
        owner = self.folder.stat().st_uid
        expected = self.account.uid if self.account else os.geteuid()
        if owner != expected:
            raise StoreError(
                f"{self.folder} belongs to the user with id {owner}, and PostgreSQL would run as {expected}.",
                "Start as the user who made it, or choose another state folder.",
            )

    def _drop_stale_lock(self) -> None:
        """Remove postmaster.pid if it names no PostgreSQL: after a crash the pid may be somebody else's."""
        lock = self.folder / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if not _is_postgres(pid):
            lock.unlink(missing_ok=True)


def _is_postgres(pid: int) -> bool:
    try:
        # Not one that is dead and only waits for its parent, whom PostgreSQL itself would take for alive.
        return bool(start_mark(pid)) and psutil.Process(pid).name().startswith("postgres")
    except psutil.Error:
        return False


def postgres_answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a PostgreSQL at this address takes connections: neither silent, nor starting, nor in recovery.

    It goes as far as the server's question for the password, and so needs none.
    """
    body = struct.pack("!I", PROTOCOL_3_0) + b"user\0bookstore-probe\0database\0postgres\0\0"
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(struct.pack("!I", len(body) + 4) + body)
            answer = connection.recv(1024)
    except OSError:
        return False
    # A refusal (E) of this unknown user is an answer too, except "the database system is starting up".
    return answer[:1] == b"R" or (answer[:1] == b"E" and STARTING_UP not in answer)
