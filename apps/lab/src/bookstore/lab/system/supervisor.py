"""Keeps a plan's processes running: starts them, sees them die, starts them again, ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.folder import folder_error
from bookstore.lab.system.logs import last_lines
from bookstore.lab.system.probe import probe
from bookstore.lab.system.record import Phase, Record
from bookstore.stores.errors import StoreError
from bookstore.stores.guardian import Guardian
from bookstore.stores.process import ProcessId, spawn
from bookstore.stores.provision import provision

if TYPE_CHECKING:
    import subprocess

    from bookstore.lab.system.plan import Part, Plan
    from bookstore.lab.system.progress import Progress

START_SECONDS = 60.0
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 10.0
# Who ran this long before dying starts again without the back-off of earlier deaths.
STEADY_SECONDS = 30.0
LOOK_SECONDS = 0.1
PARENT_SECONDS = 0.5
FAMILY_SECONDS = 2.0
# uv hands the terminal's Ctrl-C on, which the terminal has sent us already: that is still the first one.
SAME_KEYSTROKE = 0.3


class Supervisor:
    """The one owner of all processes of a system. Its `run` lasts as long as the system does."""

    def __init__(self, plan: Plan, progress: Progress, *, parent: int | None = None) -> None:
        """Supervise `plan`; with a `parent` the system ends at once when that process is gone."""
        self._plan = plan
        self._progress = progress
        self._parent = parent
        self._record = Record(
            phase="starting", since=time.time(), rows=[*plan.elsewhere, *(p.row for p in plan.parts)]
        )
        self._guardian = Guardian()
        self._families: dict[str, list[ProcessId]] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._healthy: dict[str, asyncio.Event] = {part.row.instance: asyncio.Event() for part in plan.parts}
        self._child_died = asyncio.Event()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._first_signal = 0.0
        self._failure: LabError | None = None

    async def run(self) -> None:
        """Start everything, keep it running until a signal comes, and end it.

        Raises:
            LabError: the start failed; by then everything has been ended again.
        """
        self._listen()
        watchers = [asyncio.create_task(self._watch_families())]
        if self._parent is not None:
            watchers.append(asyncio.create_task(self._watch_parent(self._parent)))
        try:
            self._set_phase("starting")
            for part in self._plan.parts:
                self._keepers[part.row.instance] = asyncio.create_task(self._keep(part))
            start = asyncio.create_task(self._start())
            stop = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({start, stop}, return_when="FIRST_COMPLETED")
            if start.done():
                start.result()
            start.cancel()
            await self._stopping.wait()
        except OSError as error:
            self._fail(folder_error(self._plan.folder.path, error))
        finally:
            for watcher in watchers:
                watcher.cancel()
            await self._stop()
            self._guardian.close()
            # One more keystroke must not spoil the good order in which everything has ended.
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self._failure is not None:
            raise self._failure

    async def _start(self) -> None:
        """Everything up to the moment when all are healthy."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._provision()
                for event in self._healthy.values():
                    await event.wait()
        except TimeoutError:
            silent = [part for part in self._plan.parts if not part.row.ready]
            if silent:
                self._fail(self._no_answer(silent[0]))
                return
        except StoreError as error:
            self._fail(LabError(error.cause, error.advice, Exit.STORE))
            return
        self._set_phase("running")
        await asyncio.to_thread(self._progress.ready)

    async def _provision(self) -> None:
        """Make the databases as soon as PostgreSQL takes connections; the apps meanwhile keep trying."""
        if not self._plan.databases:
            return
        if "postgres" in self._healthy:
            await self._healthy["postgres"].wait()
        await asyncio.to_thread(provision, self._plan.administrator_url, self._plan.databases)

    def _no_answer(self, part: Part) -> LabError:
        return LabError(
            f"{part.row.instance} runs, but didn't become healthy within {START_SECONDS:.0f} s.",
            f"Its log may say why: {self._plan.folder.log(part.row.instance)}",
            Exit.SERVICE,
            last_lines(self._plan.folder.log(part.row.instance)),
        )

    def _fail(self, failure: LabError) -> None:
        """The first failure while starting ends everything, and is what the user hears of."""
        self._failure = self._failure or failure
        self._stopping.set()
        self._hurry.set()

    async def _keep(self, part: Part) -> None:
        """Run one instance for ever: start, wait for its death, pause, start again."""
        row, pause = part.row, FIRST_BACKOFF
        while not self._stopping.is_set():
            began = time.monotonic()
            ending = await self._live(part)
            if self._stopping.is_set():
                break
            if ending is None:
                row.note = "ended in good order; `bookstore up` after `bookstore down` starts it again"
                self._say(f"{row.instance} ended in good order and stays ended")
                break
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_BACKOFF
            row.note = f"{ending}; starts again after {pause:g} s"
            self._say(f"{row.instance} {row.note}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_BACKOFF)
            row.restarts += 1
        self._write()

    async def _live(self, part: Part) -> str | None:
        """One life of an instance; how it ended, or None if an app ended in good order."""
        row = part.row
        try:
            await asyncio.to_thread(part.prepare)
            if self._stopping.is_set():
                return None
            process, identity = self._spawn(part)
        except StoreError as error:
            return self._could_not_start(LabError(error.cause, error.advice, Exit.STORE))
        except OSError as error:
            return self._could_not_start(folder_error(self._plan.folder.path, error))
        healthy = asyncio.create_task(self._until_healthy(part, identity))
        while (code := process.poll()) is None:
            self._child_died.clear()
            await self._child_died.wait()
        healthy.cancel()
        await self._bury(part, identity)
        if code == 0 and row.kind == "app":
            return None
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        # Not one that somebody killed, which may well live next time.
        if self._record.phase == "starting" and code > 0:
            self._fail(
                LabError(
                    f"{row.instance} {ending} as soon as it was started.",
                    f"Its whole log is {self._plan.folder.log(row.instance)}",
                    Exit.SERVICE,
                    last_lines(self._plan.folder.log(row.instance)),
                )
            )
        return ending

    def _could_not_start(self, failure: LabError) -> str:
        if self._record.phase == "starting":
            self._fail(failure)
        return f"couldn't be started: {failure.cause}"

    def _spawn(self, part: Part) -> tuple[subprocess.Popen[bytes], ProcessId]:
        row = part.row

        def record(identity: ProcessId) -> None:
            row.pid, row.started, row.since = identity.pid, identity.started, time.time()
            row.ready, row.note = False, ""
            self._guardian.watch(identity)
            self._record.write(self._plan.folder.record)

        output = os.open(self._plan.folder.log(row.instance), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return spawn(part.program, output=output, record=record)
        finally:
            os.close(output)

    async def _until_healthy(self, part: Part, identity: ProcessId) -> None:
        row, began = part.row, time.monotonic()
        while (felt := await asyncio.to_thread(probe, row.kind, row.url)) != "healthy":
            if felt == "degraded" and not row.ready:
                row.ready = True
                self._write()
            await asyncio.sleep(LOOK_SECONDS)
        row.ready = True
        self._families[row.instance] = identity.family()
        self._write()
        self._healthy[row.instance].set()
        self._say(f"{row.instance} is healthy after {time.monotonic() - began:.1f} s")

    async def _bury(self, part: Part, identity: ProcessId) -> None:
        """See to it that nothing of a dead process is left: its orphans would be in the next one's way."""
        family = self._families.pop(part.row.instance, [])
        for member in family:
            member.send(signal.SIGKILL)
        while any(member.alive for member in family):  # noqa: ASYNC110 - nobody tells us of a grandchild's end
            await asyncio.sleep(LOOK_SECONDS)
        self._guardian.forget(identity)
        part.row.pid, part.row.ready = None, False
        self._healthy[part.row.instance].clear()
        self._write()

    async def _stop(self) -> None:
        """Apps first, all at once, and the stores when nobody needs them any more."""
        self._set_phase("stopping")
        apps = [part for part in self._plan.parts if part.row.kind == "app"]
        stores = [part for part in self._plan.parts if part.row.kind == "store"]
        await self._end(apps, hurry=self._hurry)
        # Hurried or not, the stores get the moment that they need to close their files.
        await self._end(stores, hurry=asyncio.Event())
        self._plan.folder.record.unlink(missing_ok=True)

    async def _end(self, parts: list[Part], *, hurry: asyncio.Event) -> None:
        keepers = {self._keepers[name] for part in parts if (name := part.row.instance) in self._keepers}
        for part in parts:
            if (process := part.row.process) is not None:
                process.send(part.program.stop_signal)
                # A frozen one can't obey otherwise.
                process.send_family(signal.SIGCONT)
        limit = max((part.stop_seconds for part in parts), default=0)
        hurried = asyncio.create_task(hurry.wait())
        ended = asyncio.create_task(asyncio.wait(keepers)) if keepers else hurried
        if keepers:
            await asyncio.wait({ended, hurried}, timeout=limit, return_when="FIRST_COMPLETED")
        hurried.cancel()
        for part in parts:
            if (process := part.row.process) is not None and process.send_family(signal.SIGKILL):
                self._say(f"{part.row.instance} was killed, because it didn't end in time")
        if keepers:
            await asyncio.wait(keepers)

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGCHLD, self._on_child)

    def _on_signal(self) -> None:
        now = time.monotonic()
        if not self._stopping.is_set():
            self._first_signal = now
            self._stopping.set()
            self._say(
                "stopping: running requests get time to finish; a second signal ends everything at once"
            )
        elif now - self._first_signal > SAME_KEYSTROKE:
            self._hurry.set()

    def _on_child(self) -> None:
        self._child_died.set()
        self._guardian.mend()

    async def _watch_parent(self, parent: int) -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 - a parent's end can only be looked at
            await asyncio.sleep(PARENT_SECONDS)
        self._hurry.set()
        self._stopping.set()

    async def _watch_families(self) -> None:
        """Know the stores' own children, who can't be found any more once their parent is dead."""
        while True:
            await asyncio.sleep(FAMILY_SECONDS)
            for part in self._plan.parts:
                process = part.row.process
                if part.row.kind == "store" and process is not None and part.row.instance in self._families:
                    self._families[part.row.instance] = process.family()

    def _set_phase(self, phase: Phase) -> None:
        self._record.phase = phase
        self._write()

    def _write(self) -> None:
        # A full disk must not end the supervisor: the processes are more important than their record.
        with contextlib.suppress(OSError):
            self._record.write(self._plan.folder.record)

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._progress.line(line)
