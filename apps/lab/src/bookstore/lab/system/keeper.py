"""Keeps one instance running: starts it, sees it die, and starts it again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Protocol

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.folder import folder_error
from bookstore.lab.system.logs import last_lines
from bookstore.lab.system.probe import probe
from bookstore.lab.system.record import ENDED
from bookstore.stores.errors import StoreError
from bookstore.stores.process import ProcessId, spawn

if TYPE_CHECKING:
    import subprocess

    from bookstore.lab.system.folder import StateFolder
    from bookstore.lab.system.plan import Part
    from bookstore.stores.guardian import Guardian

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 10.0
# Who ran this long before dying starts again without the back-off of earlier deaths.
STEADY_SECONDS = 30.0
LOOK_SECONDS = 0.1


class House(Protocol):
    """What the keepers share: the supervisor, as they see it."""

    folder: StateFolder
    guardian: Guardian
    stopping: asyncio.Event
    child_died: asyncio.Event

    @property
    def is_starting(self) -> bool:
        """Whether not everything has been healthy yet, so that a failure ends the whole start."""
        ...

    def fail(self, failure: LabError) -> None:
        """End everything because of a failure."""
        ...

    def save(self) -> None:
        """Write the record if that is possible; a full disk is no reason to end anything."""
        ...

    def save_or_raise(self) -> None:
        """Write the record."""
        ...

    def say(self, line: str) -> None:
        """Tell people of something."""
        ...


class Keeper:
    """One instance and its life, or rather lives."""

    def __init__(self, part: Part, house: House) -> None:
        self.part = part
        self.spawned = asyncio.Event()
        """Set since its first process was started."""
        self.healthy = asyncio.Event()
        self._house = house
        self.log_begun = 0
        """How long its log was when its process was started: what comes after that is of this life."""
        self._revive = asyncio.Event()
        self._family: list[ProcessId] = []

    async def keep(self) -> None:
        """Run the instance until the house is stopping."""
        row, pause, stopping = self.part.row, FIRST_BACKOFF, self._house.stopping
        while not stopping.is_set():
            began = time.monotonic()
            ending = await self._live()
            if stopping.is_set():
                break
            if ending is None:
                row.note = ENDED
                self._tell(f"{row.instance} ended in good order, and stays ended until `bookstore up`")
                self._revive.clear()
                await self._either(self._revive)
                continue
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_BACKOFF
            row.note = f"{ending}; starts again after {pause:g} s"
            self._tell(f"{row.instance} {row.note}")
            self._revive.clear()
            await self._either(self._revive, pause)
            pause = FIRST_BACKOFF if self._revive.is_set() else min(pause * 2, LONGEST_BACKOFF)
            row.restarts += 1

    def revive(self) -> None:
        """Start the instance now: one that ended in good order, or that would wait after a death."""
        if self.part.row.pid is None:
            self._revive.set()

    def ask_to_end(self) -> None:
        """Send the signal for an end in good order; a frozen process is woken, or it couldn't obey."""
        if (process := self.part.row.process) is not None:
            process.send(self.part.program.stop_signal)
            process.send_family(signal.SIGCONT)

    def wake(self) -> None:
        """Let a frozen process go on; only a store has children."""
        if (process := self.part.row.process) is not None:
            send = process.send_family if self.part.row.kind == "store" else process.send
            send(signal.SIGCONT)

    def kill(self) -> bool:
        """Kill the process and its children; False if there is none."""
        process = self.part.row.process
        return process is not None and bool(process.send_family(signal.SIGKILL))

    def look_at_family(self) -> None:
        """Know the process's own children: once their parent is dead they can't be found any more."""
        process = self.part.row.process
        if process is not None and self._family:
            self._family = process.family()

    async def _live(self) -> str | None:
        """One life; how it ended, or None if an app ended in good order."""
        row, house = self.part.row, self._house
        try:
            await asyncio.to_thread(self.part.prepare)
            if house.stopping.is_set():
                return None
            process, identity = self._spawn()
        except StoreError as error:
            return self._could_not_start(LabError(error.cause, error.advice, Exit.STORE))
        except OSError as error:
            return self._could_not_start(folder_error(house.folder.path, error))
        watch = asyncio.create_task(self._until_healthy(identity))
        while (code := process.poll()) is None:
            house.child_died.clear()
            await house.child_died.wait()
        watch.cancel()
        await self._bury(identity)
        if code == 0 and row.kind == "app":
            return None
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        # Not one that somebody killed, which may well live next time.
        if house.is_starting and code > 0 and row.kind != "tool":
            log = house.folder.log(row.instance)
            cause = f"{row.instance} {ending} as soon as it was started."
            lines = last_lines(log, begun=self.log_begun)
            house.fail(LabError(cause, f"Its whole log is {log}", Exit.SERVICE, lines))
        return ending

    def _spawn(self) -> tuple[subprocess.Popen[bytes], ProcessId]:
        row, house = self.part.row, self._house

        def record(identity: ProcessId) -> None:
            self.part.started(identity)
            house.guardian.watch(identity)
            house.save_or_raise()

        output = os.open(house.folder.log(row.instance), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.log_begun = os.fstat(output).st_size
        try:
            process = spawn(self.part.program, output=output, record=record)
            self.spawned.set()
            return process
        finally:
            os.close(output)

    def _could_not_start(self, failure: LabError) -> str:
        self.part.ended()
        if self._house.is_starting and self.part.row.kind != "tool":
            self._house.fail(failure)
        return f"couldn't be started: {failure.cause}"

    async def _until_healthy(self, identity: ProcessId) -> None:
        row, began = self.part.row, time.monotonic()
        while (felt := await asyncio.to_thread(probe, row.kind, row.url)) != "healthy":
            if felt == "degraded" and not row.ready:
                self.part.ready()
                self._house.save()
            await asyncio.sleep(LOOK_SECONDS)
        self.part.ready()
        self._family = identity.family()
        self.healthy.set()
        self._tell(f"{row.instance} is healthy after {time.monotonic() - began:.1f} s")

    async def _bury(self, identity: ProcessId) -> None:
        """See to it that nothing of a dead process is left: its orphans would be in the next one's way."""
        for member in self._family:
            member.send(signal.SIGKILL)
        while any(member.alive for member in self._family):  # noqa: ASYNC110 - nobody tells of a grandchild's end
            await asyncio.sleep(LOOK_SECONDS)
        self._family = []
        self._house.guardian.forget(identity)
        self.part.ended()
        self.healthy.clear()
        self._house.save()

    async def _either(self, event: asyncio.Event, seconds: float | None = None) -> None:
        """Wait for an event, or for the house's end, or for some seconds."""
        waits = {asyncio.create_task(event.wait()), asyncio.create_task(self._house.stopping.wait())}
        await asyncio.wait(waits, timeout=seconds, return_when="FIRST_COMPLETED")
        for wait in waits:
            wait.cancel()

    def _tell(self, line: str) -> None:
        self._house.save()
        self._house.say(line)
