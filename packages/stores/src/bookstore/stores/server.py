"""A running store in one's own hands: start it, and then stop, kill, freeze or restart it at will."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Protocol, Self

from bookstore.stores.errors import StoreError
from bookstore.stores.process import ProcessId, Program, spawn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bookstore.stores.guardian import Guardian

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
# How often a condition is looked at; the wait ends with the condition.
LOOK_SECONDS = 0.005


class Store(Protocol):
    """What a server needs to know of a store: `Postgres` and `Redis` are both of this kind."""

    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def port(self) -> int: ...  # noqa: D102
    @property
    def url(self) -> str: ...  # noqa: D102
    def prepare(self) -> None: ...  # noqa: D102
    def program(self) -> Program: ...  # noqa: D102
    def answers(self, timeout: float = 1.0) -> bool: ...  # noqa: D102


class Server:
    """One store's process, watched by a guardian.

    Use it as a context manager, or call `start` and `close`.
    """

    def __init__(self, store: Store, guardian: Guardian) -> None:
        self.store = store
        self._guardian = guardian
        self._log = store.folder.with_name(f"{store.folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: ProcessId | None = None
        self._frozen: list[ProcessId] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The connection URL (PostgreSQL: the administrator's)."""
        return self.store.url

    @property
    def port(self) -> int:
        """The port on loopback."""
        return self.store.port

    @property
    def pid(self) -> int:
        """The server's main process."""
        if self._identity is None:
            raise StoreError("The server isn't running.", "Start it first.")
        return self._identity.pid

    def start(self) -> None:
        """Start the server and return when it takes connections.

        Raises:
            StoreError: it ended at once, or didn't answer in time; with its last words.
        """
        self.store.prepare()
        output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process, self._identity = spawn(
                self.store.program(), output=output, record=self._guardian.watch
            )
        finally:
            os.close(output)
        if not wait_for(lambda: self.store.answers() or not self.running, READY_SECONDS) or not self.running:
            self.kill()
            raise StoreError(
                f"{self.store.folder.name} didn't start: {self.last_words()}", "Its last words say why."
            )

    @property
    def running(self) -> bool:
        """Whether the main process is there (frozen counts)."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server in good order."""
        if self._process is None or self._identity is None:
            return
        self.resume()
        family = self._identity.family()
        self._identity.send(self.store.program().stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._bury(family)

    def kill(self) -> None:
        """End the server as a crash would: SIGKILL to its main process and all its children."""
        if self._identity is not None:
            self._bury(self._identity.family())

    def restart(self) -> None:
        """Start again on the same port with the same data, after a stop if it still runs."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the clock for the server (SIGSTOP): connections stay open, and nothing answers."""
        if self._identity is not None:
            self._frozen = self._identity.send_family(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        for member in self._frozen:
            member.send(signal.SIGCONT)
        self._frozen = []

    def close(self) -> None:
        """Kill the server and remove its data."""
        self.kill()
        shutil.rmtree(self.store.folder, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
        return ""

    def _bury(self, family: list[ProcessId]) -> None:
        """Kill what still runs of the family, and wait until all of it is gone."""
        for member in family:
            member.send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        # Its orphans hold the shared memory, and a new server wouldn't start beside them.
        wait_for(lambda: not any(member.alive for member in family), STOP_SECONDS)
        if self._identity is not None:
            self._guardian.forget(self._identity)
        self._process = self._identity = None
        self._frozen = []


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Look until `condition` holds; False if it still doesn't after so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True
