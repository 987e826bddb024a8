"""What could be wrong on this machine, a line for each thing."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from bookstore.lab.failures import LabError
from bookstore.lab.system.addresses import place_of
from bookstore.lab.system.credentials import POSTGRES, REDIS
from bookstore.lab.system.folder import ROOM_NEEDED
from bookstore.lab.system.outside import checked, named
from bookstore.lab.system.record import Record
from bookstore.lab.system.topology import SYSTEM, Topology
from bookstore.stores.account import unprivileged
from bookstore.stores.binaries import postgres_installation, redis_server
from bookstore.stores.errors import StoreError
from bookstore.stores.guardian import interpreter_environment
from bookstore.stores.ports import is_free

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from bookstore.lab.system.folder import StateFolder

MINIMUM_PYTHON = (3, 11)
FILES_NEEDED = 1024
MEGABYTE = 2**20
MEMORY_NEEDED = 700 * MEGABYTE

Verdict = Literal["ok", "note", "bad", "absent"]
"""`absent` is what a part would need that not everybody wants: it is told, and wrong with nothing."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    verdict: Verdict
    text: str
    part: str = "start"
    """What it is needed for."""


def examine(
    folder: StateFolder, topology: Topology = SYSTEM, caller: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Look at everything that a start needs."""
    outside = named(caller)
    yield _python()
    yield from _programs(outside)
    yield from _outside(outside)
    yield from _apps(topology)
    yield _folder(folder)
    yield _room(folder)
    yield _memory()
    yield _files()
    yield from _ports(folder, topology, outside)
    yield _leftovers(folder)


def _python() -> Finding:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < MINIMUM_PYTHON:
        return Finding("bad", f"{text}: 3.11 or later is needed")
    return Finding("ok", text)


def _programs(outside: Collection[str]) -> Iterator[Finding]:
    try:
        account = unprivileged()
    except StoreError as error:
        yield Finding("bad", str(error))
        return
    who = f", runs as {account.name}" if account else ""

    def postgres() -> Path:
        return postgres_installation(account) / "bin" / "postgres"

    finders: dict[str, tuple[str, Callable[[], Path]]] = {
        POSTGRES: ("PostgreSQL", postgres),
        REDIS: ("Redis", lambda: redis_server(account)),
    }
    for name, find in (told for store, told in finders.items() if store not in outside):
        try:
            program = find()
            answer = subprocess.run(  # noqa: S603 - the wheel's own program
                [str(program), "--version"],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
                env=interpreter_environment(),
            )
        except StoreError as error:
            yield Finding("bad", str(error))
        except (OSError, subprocess.SubprocessError) as error:
            yield Finding("bad", f"{name} doesn't run here: {error}")
        else:
            yield Finding("ok", f"{name}: {answer.stdout.split(' sha=')[0].strip()}{who}")


def _outside(outside: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    for variable, url in outside.values():
        try:
            checked(variable, url)
        except LabError as error:
            yield Finding("bad", str(error))
        else:
            yield Finding("ok", f"{variable}: {place_of(url)} answers, and is used")


def _apps(topology: Topology) -> Iterator[Finding]:
    modules = {service.name: service.run[1] for service in topology.services if service.run[:1] == ("-m",)}
    missing = [name for name, module in modules.items() if not _importable(module)]
    if missing:
        yield Finding("bad", f"not installed here: {', '.join(missing)}; run `uv sync` in the workspace")
    elif modules:
        yield Finding("ok", f"apps installed: {', '.join(modules)}")


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _folder(folder: StateFolder) -> Finding:
    place = folder.path
    if folder.exists:
        mode = place.stat().st_mode & 0o777
        if not os.access(place, os.W_OK | os.X_OK):
            return Finding("bad", f"the state folder {place} isn't writable for you")
        if mode & 0o077:
            return Finding(
                "note", f"the state folder {place} is open to others (mode {mode:o}); `up` closes it"
            )
        return Finding("ok", f"state folder {place}")
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("bad", f"the state folder {folder.path} can't be made: {place} isn't writable for you")
    return Finding("ok", f"state folder {folder.path}, not made yet")


def _room(folder: StateFolder) -> Finding:
    place = folder.path
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free // MEGABYTE:,} MB free on the disk of the state folder"
    return Finding("ok", text) if free >= ROOM_NEEDED else Finding("bad", f"{text}: 200 MB are needed")


def _memory() -> Finding:
    import psutil  # noqa: PLC0415

    free = psutil.virtual_memory().available
    text = f"{free // MEGABYTE:,} MB of memory available"
    return (
        Finding("ok", text) if free >= MEMORY_NEEDED else Finding("note", f"{text}: 700 MB would be better")
    )


def _files() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit != resource.RLIM_INFINITY and limit < FILES_NEEDED:
        return Finding(
            "note", f"only {limit} open files allowed a process; `ulimit -n {FILES_NEEDED}` is better"
        )
    return Finding("ok", f"{limit} open files allowed a process")


def _ports(folder: StateFolder, topology: Topology, outside: Collection[str]) -> Iterator[Finding]:
    record = Record.read(folder.record)
    own = {row.port for row in record.rows if row.process and row.process.alive} if record else set[int]()
    doors = [door for service in topology.services for door in service.doors]
    here = [service for service in topology.services if service.name not in outside]
    busy = [s for s in (*here, *doors) if s.port not in own and not is_free(s.port)]
    for service in busy:
        yield Finding("note", f"port {service.port} of {service.name} is busy; `up` takes the next free one")
    if not busy:
        yield Finding("ok", "all default ports are free" if not own else "the ports are ours")


def _leftovers(folder: StateFolder) -> Finding:
    record = Record.read(folder.record)
    holder = folder.lock.holder() if folder.exists else None
    if holder is not None:
        return Finding("ok", f"the system runs, its supervisor is process {holder.pid}")
    left = [row for row in record.rows if row.process and row.process.alive] if record else []
    if left:
        names = ", ".join(f"{row.instance} (pid {row.pid})" for row in left)
        return Finding("note", f"left over from a killed start: {names}; `up` and `down` end them")
    return Finding("ok", "nothing runs, and nothing is left over")
