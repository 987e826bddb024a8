"""Processes by pid and start time, and how to start one that can't outlive its owner unnoticed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from bookstore.stores import guardian, launcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bookstore.stores.account import Account


@dataclass(frozen=True)
class ProcessId:
    """One process for good: a pid is given out again one day, a pid with its start mark isn't.

    Attributes:
        pid: the process id.
        started: an opaque mark of the moment of its start, exact, and different after a reboot.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Who runs under `pid` now; None if nobody does (a zombie counts as nobody)."""
        mark = guardian.start_mark(pid)
        return cls(pid, mark) if mark else None

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def family(self) -> list[ProcessId]:
        """This process and all its descendants; empty when it is gone."""
        if not self.alive:
            return []
        return [self, *(child for pid in guardian.descendants(self.pid) if (child := ProcessId.of(pid)))]

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this very process; False if it is gone."""
        if not self.alive:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False

    def send_family(self, number: signal.Signals) -> list[ProcessId]:
        """Send a signal to this process and its descendants, parents first, and say to whom."""
        return [member for member in self.family() if member.send(number)]

    def memory(self) -> int:
        """Bytes of memory of the whole family: PSS where the system tells it, RSS elsewhere."""
        return sum(_memory(member.pid) for member in self.family())


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        with contextlib.suppress(psutil.AccessDenied, AttributeError):
            return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


@dataclass(frozen=True, kw_only=True)
class Program:
    """All that is needed to start one process, and to end it.

    Attributes:
        argv: the command line.
        folder: the working directory.
        environment: the complete environment; nothing is inherited.
        account: the system account to become; None stays who we are.
        stop_signal: asks the process to end in good order.
        orphan_signal: sent by Linux itself when the process that started this one dies.
    """

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL


def spawn(
    program: Program,
    *,
    output: int,
    record: Callable[[ProcessId], None],
) -> tuple[subprocess.Popen[bytes], ProcessId]:
    """Start `program` in a session of its own, with stdout and stderr on the file descriptor `output`.

    `record` is called with the new process before the program itself begins. If the caller dies in between,
    the process ends without having begun: nothing ever runs that isn't on record. Call this from the main
    thread, because Linux takes the end of the starting thread for the end of the parent.
    """
    process = subprocess.Popen(  # noqa: S603 - our own launcher
        [sys.executable, "-I", "-S", launcher.__file__],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=program.folder,
        env=guardian.interpreter_environment(),
        start_new_session=True,
    )
    # Not None: it is our child and nobody has waited for it, so at worst it is a zombie.
    identity = ProcessId(process.pid, guardian.start_mark(process.pid, zombies=True))
    order = {
        "argv": list(program.argv),
        "environment": dict(program.environment),
        "parent": os.getpid(),
        "orphan_signal": int(program.orphan_signal),
        "account": [program.account.uid, program.account.gid] if program.account else None,
    }
    try:
        record(identity)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    pipe = process.stdin
    assert pipe is not None  # noqa: S101 - for the type checker
    # A launcher that was killed meanwhile is a matter for whoever waits for the process.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(json.dumps(order).encode())
    process.stdin = None
    return process, identity
