"""Runs of experiments and guides: each a child process of the usual command, told of in a file as it goes on.

On disk, in the state folder under `desk/runs`, two files a run: who runs (written before the program begins),
and what it has told. So a desk that is started again finds all runs, and one that goes on too. If the desk
dies, Linux tells the child, for which that is a Ctrl-C: it takes everything back and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from bookstore.contracts.lab import Kind, Run, State
from bookstore.lab.desk.catalogue import catalogue
from bookstore.lab.desk.refused import RefusedError
from bookstore.lab.desk.story import Story
from bookstore.lab.live import read
from bookstore.lab.system.environment import PLATFORM
from bookstore.stores.private import make_private_folder, write_private
from bookstore.stores.process import ProcessId, Program, spawn

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from bookstore.lab.system.folder import StateFolder

COMMAND = (sys.executable, "-P", "-m", "bookstore.lab")
KEPT = 100
"""Runs that are remembered."""
LOOK_SECONDS = 0.2
PATIENCE = (6.0, 6.0)
"""Seconds after each interruption, when the desk itself is to end; what then still goes on ends by itself."""
INTERRUPTED = (130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL)
LAST_LINES = 6


class Begun(msgspec.Struct, kw_only=True, frozen=True):
    """What is written down before a run begins."""

    kind: Kind
    name: str
    started_at: datetime
    pid: int
    started: str

    @property
    def process(self) -> ProcessId:
        """Who runs it."""
        return ProcessId(self.pid, self.started)


@dataclass
class Current:
    """The run that goes on, or was the last to do so, and how far its file was read."""

    id: str
    begun: Begun
    told: Path
    story: Story = field(default_factory=Story)
    offset: int = 0
    others: list[str] = field(default_factory=list[str])
    child: subprocess.Popen[bytes] | None = None
    ended_at: datetime | None = None

    def look(self) -> Run:
        """How it stands now."""
        if self.ended_at is None:
            # In this order: what a process tells before its end is there when it has ended.
            gone = self._gone()
            self._read()
            if gone:
                self._bury()
        return Run(
            id=self.id,
            kind=self.begun.kind,
            name=self.begun.name,
            state=self.story.state if self.ended_at is not None else "running",
            phase=self.story.phase,
            started_at=self.begun.started_at,
            ended_at=self.ended_at,
            steps=self.story.steps,
            report=self.story.report if self.ended_at is not None else None,
        )

    def _gone(self) -> bool:
        if self.child is not None:
            return self.child.poll() is not None
        return not self.begun.process.alive

    def _read(self) -> None:
        """What was told since; a line that isn't whole yet is read the next time."""
        with self.told.open("rb") as file:
            file.seek(self.offset)
            whole, _, partial = file.read().rpartition(b"\n")
            self.offset = file.tell() - len(partial)
        events, others = read(whole.splitlines())
        self.others += others
        self.story.hear(events)

    def _bury(self) -> None:
        self.ended_at = datetime.fromtimestamp(self.told.stat().st_mtime, UTC)
        if self.story.state == "running":
            # Without a child of ours there is no exit code: whoever began it died, and that interrupted it.
            code = self.child.returncode if self.child is not None else -signal.SIGTERM
            state: State = "interrupted" if code in INTERRUPTED else "error"
            self.story.break_off(state, "; ".join(self.others[-LAST_LINES:]))


class Runs:
    """All runs, of which one may go on at a time."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._folder = state.desk / "runs"
        self._current: Current | None = None
        make_private_folder(self._folder)
        if ids := self._ids():
            self._current = self._opened(ids[0])

    @property
    def goes_on(self) -> bool:
        """Whether one goes on."""
        return self._current is not None and self._current.look().ended_at is None

    def last(self, limit: int) -> list[Run]:
        """The newest ones first."""
        return [run for each in self._ids()[:limit] if (run := self._run(each)) is not None]

    def one(self, identity: str) -> Run:
        """One run.

        Raises:
            RefusedError: there is none of that identity.
        """
        run = self._run(identity) if identity in self._ids() else None
        if run is None:
            raise RefusedError(404, "no-such-run", f"There is no run {identity!r}.")
        return run

    def start(self, kind: Kind, name: str) -> Run:
        """Begin one.

        Raises:
            RefusedError: there is nothing of that name, or another run goes on.
        """
        if not any((each.kind, each.name) == (kind, name) for each in catalogue()):
            raise RefusedError(404, "no-such-run", f"There is no {kind} {name!r}; see the catalogue.")
        if self.goes_on:
            raise RefusedError(409, "already-running", "Another run goes on; it can be stopped.")
        moment = datetime.now(UTC)
        identity = f"{moment:%Y%m%d-%H%M%S}-{moment.microsecond // 1000:03}-{kind}-{name}"
        self._current = self._begin(identity, kind, name, moment)
        self._forget()
        return self._current.look()

    def stop(self, identity: str) -> Run:
        """Interrupt a run, as Ctrl-C does; of one that is over nothing changes.

        Raises:
            RefusedError: there is none of that identity.
        """
        run = self.one(identity)
        if run.ended_at is None and self._current is not None:
            self._current.begun.process.send(signal.SIGINT)
        return run

    async def end(self) -> None:
        """Interrupt what goes on, and wait a while for its end; a second interruption hurries that."""
        for patience in PATIENCE:
            if self._current is None or not self.goes_on:
                return
            self._current.begun.process.send(signal.SIGINT)
            deadline = time.monotonic() + patience
            while self.goes_on and time.monotonic() < deadline:  # noqa: ASYNC110 - a process can only be looked at
                await asyncio.sleep(LOOK_SECONDS)

    def _begin(self, identity: str, kind: Kind, name: str, moment: datetime) -> Current:
        words = [kind, "run", name, "--progress", "json", "--state", str(self._state.path)]
        program = Program(
            argv=[*COMMAND, *words],
            folder=self._state.path,
            environment={each: os.environ[each] for each in PLATFORM if each in os.environ},
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGTERM,
        )
        begun: Begun | None = None

        def record(process: ProcessId) -> None:
            nonlocal begun
            begun = Begun(kind=kind, name=name, started_at=moment, pid=process.pid, started=process.started)
            write_private(self._folder / f"{identity}.json", msgspec.json.encode(begun).decode())

        told = self._folder / f"{identity}.jsonl"
        output = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child, _ = spawn(program, output=output, record=record)
        finally:
            os.close(output)
        assert begun is not None  # noqa: S101 - for the type checker
        return Current(identity, begun, told, child=child)

    def _ids(self) -> list[str]:
        return sorted((path.stem for path in self._folder.glob("*.json")), reverse=True)

    def _run(self, identity: str) -> Run | None:
        if self._current is not None and self._current.id == identity:
            return self._current.look()
        return _finished(self._folder, identity)

    def _opened(self, identity: str) -> Current | None:
        return _opened(self._folder, identity)

    def _forget(self) -> None:
        for identity in self._ids()[KEPT:]:
            for kind in ("json", "jsonl"):
                (self._folder / f"{identity}.{kind}").unlink(missing_ok=True)


def _opened(folder: Path, identity: str) -> Current | None:
    """A run from its files; None if they can't be understood."""
    path = folder / f"{identity}.json"
    try:
        begun = msgspec.json.decode(path.read_bytes(), type=Begun)
    except (OSError, msgspec.DecodeError):
        return None
    told = folder / f"{identity}.jsonl"
    return Current(identity, begun, told) if told.exists() else None


@lru_cache(maxsize=KEPT // 4)
def _finished(folder: Path, identity: str) -> Run | None:
    """One that isn't the current one, and so is over: nothing about it changes any more."""
    found = _opened(folder, identity)
    return found.look() if found is not None else None
