"""Bring the system up, here or in a process apart, and down again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import traceback
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.credentials import POSTGRES
from bookstore.lab.system.folder import StateFolder, folder_error
from bookstore.lab.system.plan import Plan, make_plan
from bookstore.lab.system.ports import Claims
from bookstore.lab.system.probe import ELSEWHERE, is_leaving
from bookstore.lab.system.progress import Log, Pipe, Progress, Terminal, follow
from bookstore.lab.system.record import ENDED, Record
from bookstore.lab.system.supervisor import START_SECONDS, Supervisor
from bookstore.lab.system.tools import with_tools
from bookstore.lab.system.topology import SYSTEM, Topology
from bookstore.lab.system.ways import proxied
from bookstore.stores.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from bookstore.lab.system.folder import Lock
    from bookstore.lab.system.record import Row

SUPERVISOR_LOG = "supervisor"
LOOK_SECONDS = 0.05
# Longer than the longest drain.
DOWN_SECONDS = 40.0
JOIN_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Start:
    """What to start."""

    folder: StateFolder
    port_base: int | None = None
    topology: Topology = SYSTEM
    replicas: Mapping[str, int] = field(default_factory=lambda: MappingProxyType[str, int]({}))
    """How many instances of a service there are, where that isn't what the topology says."""
    observe: bool = False
    """Whether to start the tools that are found here as well."""
    proxied: bool = False
    """Whether parts reach each other through proxies, so that their ways can be disturbed."""
    caller: Mapping[str, str] = field(default_factory=lambda: os.environ)


class AlreadyRunningError(Exception):
    """Somebody else holds the lock."""


def up_here(start: Start, on_ready: Callable[[], None]) -> None:
    """Be the supervisor until a signal comes."""
    _, plan = _prepared(start)
    terminal = Terminal(Log(start.folder.log(SUPERVISOR_LOG)), on_ready)
    _supervise(plan, terminal, parent=_uv_parent())


def up_apart(start: Start, say: Callable[[str], None], *, bound: bool = False) -> int:
    """Fork a supervisor, wait until everything is healthy, and return its pid.

    A `bound` one ends with this process.

    A fork, not a new program: all is loaded already, and there are no threads yet.
    """
    lock, plan = _prepared(start)
    reader, writer = os.pipe()
    owner = os.getpid()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(start, lock, plan, writer, parent=owner if bound else None)
    os.close(writer)
    lock.hand_over()
    plan.claims.hand_over()
    try:
        if follow(reader, say):
            return child
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    except LabError:
        os.waitpid(child, 0)
        raise
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        raise LabError(
            "The system was told to end while it was starting.", "Start it again: bookstore up", Exit.FAILED
        )
    raise LabError(
        "The supervisor died while it was starting the system.",
        f"Its log is {start.folder.log(SUPERVISOR_LOG)}",
        Exit.FAILED,
    )


def join(folder: StateFolder) -> None:
    """Wait for a system that somebody else has started; what was ended in good order starts again.

    So does what is about to end, as it was told to a moment ago: it isn't there once we return.
    """
    asked = False
    deadline = time.monotonic() + START_SECONDS
    # Who holds the lock is looked up each time: a process that starts one apart has signed before that one.
    while (holder := folder.lock.holder()) is not None and time.monotonic() < deadline:
        record = Record.read(folder.record)
        if record and record.phase == "stopping":
            return
        if record and record.phase == "running":
            if not asked:
                deadline = time.monotonic() + JOIN_SECONDS
            if not asked or any(row.note == ENDED for row in record.rows):
                # Not before: until then it might not listen to this signal yet.
                holder.send(signal.SIGUSR1)
                asked = True
            elif _all_are_here(record.rows):
                return
        time.sleep(LOOK_SECONDS)


def _all_are_here(rows: Iterable[Row]) -> bool:
    """Whether everything has been well, and nothing is leaving: one of its ports may be shut on purpose."""
    ours = [row for row in rows if row.kind != "tool" and row.note != ELSEWHERE]
    ports: defaultdict[int | None, list[Row]] = defaultdict(list)
    for row in ours:
        ports[row.pid].append(row)
    return all(row.ready for row in ours) and not any(all(map(is_leaving, each)) for each in ports.values())


@contextmanager
def stores_of(start: Start, say: Callable[[str], None]) -> Generator[dict[str, str]]:
    """The URLs of all that runs, by name; if nothing does, PostgreSQL runs for as long as the block does.

    Raises:
        LabError: there is no data yet.
    """
    if not start.folder.credentials.exists():
        raise LabError(
            f"There is nothing in {start.folder.path} yet.", "Start with `bookstore up`.", Exit.NOT_RUNNING
        )
    postgres = Topology(services=(start.topology.service(POSTGRES),), databases=start.topology.databases)
    mine = True
    try:
        # Bound: if somebody kills us, it ends as well.
        up_apart(replace(start, topology=postgres), say, bound=True)
    except AlreadyRunningError:
        mine = False
        join(start.folder)
    try:
        record = Record.read(start.folder.record)
        yield {row.name: row.url for row in record.rows} if record else {}
    finally:
        if mine:
            down(start.folder, say)


def down(folder: StateFolder, say: Callable[[str], None]) -> bool:
    """End the system of this state folder, and what a killed one left; False if there was nothing.

    Ctrl-C meanwhile hurries it.
    """
    if not folder.exists:
        return False
    lock = folder.lock
    try:
        free = lock.take()
    except OSError as error:
        raise folder_error(folder.path, error) from error
    if free:
        try:
            return bool(sweep(folder, say))
        finally:
            lock.hand_over()
    holder = lock.holder()
    if holder is not None:
        say("stopping; running requests get up to 13 s to finish")
        holder.send(signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while not lock.take():
        try:
            time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            if holder is not None:
                holder.send(signal.SIGTERM)
        if time.monotonic() > deadline:
            if holder is None or not holder.send(signal.SIGKILL):
                raise LabError(
                    f"{folder.path} is locked by a process that can't be found.",
                    "See with `lsof` who has its file `supervisor` open.",
                    Exit.FOLDER,
                )
            say("the supervisor didn't end in time and was killed")
            deadline = time.monotonic() + DOWN_SECONDS
    sweep(folder, say)
    # Nobody's again: this very process may start another system there.
    lock.hand_over()
    return True


def sweep(folder: StateFolder, say: Callable[[str], None]) -> list[str]:
    """Kill what a killed supervisor left behind, by its record, and remove that. The lock must be held.

    A process counts as ours only if it has the recorded pid and the recorded start.
    """
    record = Record.read(folder.record)
    if record is None:
        return []
    swept: list[str] = []
    for row in record.rows:
        process = row.process
        if process is None or not process.alive:
            continue
        family = process.send_family(signal.SIGKILL)
        while any(member.alive for member in family):
            time.sleep(LOOK_SECONDS)
        swept.append(row.instance)
        say(f"{row.instance} (pid {row.pid}) was left over from a killed start and has been ended")
    folder.record.unlink(missing_ok=True)
    return swept


def _prepared(start: Start) -> tuple[Lock, Plan]:
    """Everything that can go wrong before a process runs; then neither the folder nor a port stays ours."""
    start.folder.open()
    lock, claims = start.folder.lock, Claims()
    with ExitStack() as undone:
        undone.callback(lock.hand_over)
        undone.callback(claims.hand_over)
        plan = _planned(start, lock, claims)
        undone.pop_all()
    return lock, plan


def _planned(start: Start, lock: Lock, claims: Claims) -> Plan:
    try:
        if not lock.take():
            raise AlreadyRunningError
        lock.sign()
        log = Log(start.folder.log(SUPERVISOR_LOG))
        sweep(start.folder, log.line)
        topology = start.topology.with_replicas(start.replicas)
        topology = proxied(topology) if start.proxied else topology
        return make_plan(
            with_tools(topology) if start.observe else topology,
            start.folder,
            claims,
            port_base=start.port_base,
            caller=start.caller,
        )
    except StoreError as error:
        raise LabError(error.cause, error.advice, Exit.STORE) from error
    except OSError as error:
        raise folder_error(start.folder.path, error) from error


def _supervise(plan: Plan, progress: Progress, *, parent: int | None) -> None:
    async def run() -> None:
        await Supervisor(plan, progress, parent=parent).run()

    asyncio.run(run())


def _child(start: Start, lock: Lock, plan: Plan, writer: int, *, parent: int | None) -> NoReturn:
    """The forked process: leave the terminal, supervise, and never return into the caller's code."""
    code = Exit.FAILED
    try:
        os.setsid()
        lock.sign()
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(start.folder.log(SUPERVISOR_LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        journal = Log(start.folder.log(SUPERVISOR_LOG))
        pipe = Pipe(journal, writer)
        try:
            _supervise(plan, pipe, parent=parent)
            code = Exit.OK
        except LabError as failure:
            for line in failure.lines():
                journal.line(line)
            pipe.failed(failure)
            code = failure.code
    except BaseException:  # noqa: BLE001 - the last line of this process, whatever happens
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _uv_parent() -> int | None:
    """The pid of `uv run`, if that started us: it can't hand on a SIGKILL, so we look whether it is there."""
    import psutil  # noqa: PLC0415

    try:
        parent = psutil.Process(os.getppid())
        return parent.pid if parent.name() in ("uv", "uvx") else None
    except psutil.Error:
        return None
