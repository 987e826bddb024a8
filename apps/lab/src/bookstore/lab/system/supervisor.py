"""Owns all processes of a system: starts them together, keeps each one running, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Literal

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.first_start import FirstStart
from bookstore.lab.system.folder import folder_error
from bookstore.lab.system.keeper import Keeper
from bookstore.lab.system.logs import last_lines, shorten
from bookstore.lab.system.record import Phase, Record
from bookstore.lab.system.topology import ACCOUNTS
from bookstore.stores.errors import StoreError
from bookstore.stores.guardian import Guardian
from bookstore.stores.provision import provision

if TYPE_CHECKING:
    from bookstore.lab.system.plan import Plan
    from bookstore.lab.system.progress import Progress

START_SECONDS = 60.0
PARENT_SECONDS = 0.5
ROUND_SECONDS = 2.0
# uv hands the terminal's Ctrl-C on, which the terminal has sent us already: that is still the first one.
SAME_KEYSTROKE = 0.3


class Supervisor:
    """The one owner of all processes of a system. Its `run` lasts as long as the system does."""

    def __init__(self, plan: Plan, progress: Progress, *, parent: int | None = None) -> None:
        """Supervise `plan`; with a `parent` the system ends at once when that process is gone."""
        self.folder = plan.folder
        self.guardian = Guardian()
        self.stopping = asyncio.Event()
        self.child_died = asyncio.Event()
        self._plan = plan
        self._progress = progress
        self._parent = parent
        self._record = Record(
            phase="starting",
            since=time.time(),
            rows=[*plan.elsewhere, *(row for part in plan.parts for row in part.rows)],
        )
        self._keepers = [Keeper(part, self) for part in plan.parts]
        self._first = FirstStart(plan, self.say)
        self._tasks: dict[Keeper, asyncio.Task[None]] = {}
        self._hurry = asyncio.Event()
        self._provisioned = asyncio.Event()
        self._first_signal = 0.0
        self._failure: LabError | None = None

    async def run(self) -> None:
        """Start everything, keep it running until a signal comes, and end it.

        Raises:
            LabError: the start failed; by then everything has been ended again.
        """
        self._listen()
        watchers = [asyncio.create_task(self._make_rounds())]
        if self._parent is not None:
            watchers.append(asyncio.create_task(self._watch_parent(self._parent)))
        try:
            self.save_or_raise()
            self._tasks = {keeper: asyncio.create_task(self._keep(keeper)) for keeper in self._keepers}
            start = asyncio.create_task(self._start())
            stop = asyncio.create_task(self.stopping.wait())
            # A keeper never ends by itself: one that does has an error to tell.
            await asyncio.wait({start, stop, *self._tasks.values()}, return_when="FIRST_COMPLETED")
            if start.done():
                start.result()
                await asyncio.wait({stop, *self._tasks.values()}, return_when="FIRST_COMPLETED")
            start.cancel()
        except OSError as error:
            self.fail(folder_error(self.folder.path, error))
        finally:
            for watcher in watchers:
                watcher.cancel()
            self.stopping.set()
            await self._stop()
            self._first.end()
            self.guardian.close()
            # One more keystroke must not spoil the good order in which everything has ended.
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        for task in self._tasks.values():
            task.result()
        if self._failure is not None:
            raise self._failure

    @property
    def is_starting(self) -> bool:
        """Whether not everything has been healthy yet."""
        return self._record.phase == "starting"

    def fail(self, failure: LabError) -> None:
        """End everything; the first failure is what the user hears of."""
        self._failure = self._failure or failure
        self.stopping.set()
        self._hurry.set()

    def save(self) -> None:
        """Write the record if that is possible: the processes are more important than their record."""
        with contextlib.suppress(OSError):
            self.save_or_raise()

    def save_or_raise(self) -> None:
        """Write the record."""
        self._record.write(self.folder.record)

    def say(self, line: str) -> None:
        """Tell people of something."""
        with contextlib.suppress(OSError):
            self._progress.line(line)

    async def _start(self) -> None:
        """Everything up to the moment when all are healthy."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._first.load()
                fresh = await self._provision()
                self._provisioned.set()
                healthy = [keeper.healthy.wait() for keeper in self._needed]
                await asyncio.gather(self._first.make_members(fresh, self._accounts), *healthy)
        except LabError as failure:
            self.fail(failure)
            return
        except TimeoutError:
            # A degraded one does answer, and that is as good as it gets.
            silent = [keeper for keeper in self._needed if not keeper.part.row.ready]
            if silent:
                instance = silent[0].part.row.instance
                log = self.folder.log(instance)
                cause = f"{instance} runs, but didn't become healthy within {START_SECONDS:.0f} s."
                lines = last_lines(log, begun=silent[0].log_begun)
                self.fail(LabError(cause, f"Its whole log is {log}", Exit.SERVICE, lines))
                return
        except StoreError as error:
            self.fail(LabError(error.cause, error.advice, Exit.STORE))
            return
        self._set_phase("running")
        await asyncio.to_thread(self._progress.ready)

    @property
    def _needed(self) -> list[Keeper]:
        """All but the tools: nobody waits for those."""
        return [keeper for keeper in self._keepers if keeper.part.row.kind != "tool"]

    async def _accounts(self) -> None:
        """Wait until accounts is healthy."""
        for keeper in self._keepers:
            if keeper.part.row.name == ACCOUNTS:
                await keeper.healthy.wait()

    async def _provision(self) -> list[str]:
        """Make the databases as soon as PostgreSQL takes connections, and tell which are new."""
        for keeper in self._keepers:
            if keeper.part.row.name == "postgres":
                await keeper.healthy.wait()
        if self._plan.databases:
            fresh = await asyncio.to_thread(provision, self._plan.administrator_url, self._plan.databases)
            await self._first.make_tables(fresh)
            return fresh
        return []

    async def _keep(self, keeper: Keeper) -> None:
        """Keep an instance, from when it is of use.

        A first start makes PostgreSQL's files, and everybody waits for those: nobody is in their way. And who
        came before its tables would make them itself.
        """
        wanted = [each.spawned for each in self._keepers if each.part.row.kind == "store"]
        if keeper.part.keeps_data:
            wanted.append(self._provisioned)
        if keeper.part.row.kind != "store":
            await self._unless_stopping(asyncio.gather(*(each.wait() for each in wanted)))
        await keeper.keep()

    async def _unless_stopping(self, wanted: asyncio.Future[list[Literal[True]]]) -> None:
        stopping = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait({wanted, stopping}, return_when="FIRST_COMPLETED")
        wanted.cancel()
        stopping.cancel()
        await asyncio.gather(wanted, stopping, return_exceptions=True)

    async def _stop(self) -> None:
        """Apps first, all at once, and the stores when nobody needs them any more.

        Whoever was frozen is woken before that: others may wait for it to finish what they are doing.
        """
        self._set_phase("stopping")
        for keeper in self._tasks:
            keeper.wake()
        await self._end("app", hurry=self._hurry)
        await self._end("tool", hurry=self._hurry)
        # Hurried or not, the stores get the moment that they need to close their files.
        await self._end("store", hurry=asyncio.Event())
        self.folder.record.unlink(missing_ok=True)

    async def _end(self, kind: str, *, hurry: asyncio.Event) -> None:
        keepers = [keeper for keeper in self._tasks if keeper.part.row.kind == kind]
        if not keepers:
            return
        for keeper in keepers:
            keeper.ask_to_end()
        hurried = asyncio.create_task(hurry.wait())
        ended = asyncio.gather(*(self._tasks[keeper] for keeper in keepers), return_exceptions=True)
        limit = max(keeper.part.stop_seconds for keeper in keepers)
        await asyncio.wait({ended, hurried}, timeout=limit, return_when="FIRST_COMPLETED")
        hurried.cancel()
        for keeper in keepers:
            if keeper.kill():
                self.say(f"{keeper.part.row.instance} was killed, because it didn't end in time")
        await ended

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGCHLD, self._on_child)
        loop.add_signal_handler(signal.SIGUSR1, self._on_revive)

    def _on_stop_signal(self) -> None:
        now = time.monotonic()
        if not self.stopping.is_set():
            self._first_signal = now
            self.stopping.set()
            self.say("stopping: running requests get time to finish; a second signal ends everything at once")
        elif now - self._first_signal > SAME_KEYSTROKE:
            self._hurry.set()

    def _on_child(self) -> None:
        self.child_died.set()
        self.guardian.mend()

    def _on_revive(self) -> None:
        for keeper in self._keepers:
            keeper.revive()

    async def _watch_parent(self, parent: int) -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 - a parent's end can only be looked at
            await asyncio.sleep(PARENT_SECONDS)
        self._hurry.set()
        self.stopping.set()

    async def _make_rounds(self) -> None:
        """What must be looked at now and then."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            for keeper in self._keepers:
                if keeper.part.row.kind != "app":
                    keeper.look_at_family()
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(shorten, self.folder.log(keeper.part.row.instance))

    def _set_phase(self, phase: Phase) -> None:
        self._record.phase = phase
        self.save()
