"""A tiny process that ends what its owner started, should the owner be killed before it could do so itself.

The owner holds the write end of a pipe and sends its current list of processes and folders, a JSON line each
time it changes. The end of file is the owner's end: the guardian kills what is on the last list, and removes
the folders. Linux's parent-death signal does the same faster, but not for the children of a frozen process,
and not on macOS. This module runs as a script too, hence the standard library alone; psutil is only needed
outside Linux.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bookstore.stores.process import ProcessId

PROC = Path("/proc")
ON_LINUX = sys.platform == "linux"
# In /proc/<pid>/stat, counted behind the command's closing bracket.
STATE, PARENT, START = 0, 1, 19


def interpreter_environment() -> dict[str, str]:
    """What Python itself may need to start, and nothing else."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}


@cache
def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def start_mark(pid: int, *, zombies: bool = False) -> str:
    """An exact, opaque mark of when `pid` started; empty when nobody runs under it."""
    if ON_LINUX:
        fields = _stat(pid)
        # X is a process on its way out, Z one that only waits for its parent to take note.
        if not fields or (fields[STATE] in "ZX" and not zombies):
            return ""
        return f"{_boot()}:{fields[START]}"
    import psutil  # noqa: PLC0415 - not on the guardian's path on Linux

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE and not zombies:
            return ""
        return repr(process.create_time())
    except psutil.Error:
        return ""


def descendants(pid: int) -> list[int]:
    """Children, grandchildren and so on of `pid`, parents first."""
    if not ON_LINUX:
        import psutil  # noqa: PLC0415 - see above

        try:
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return []
    children: dict[int, list[int]] = {}
    for entry in os.listdir(PROC):  # noqa: PTH208 - names are all we need, a thousand times
        if entry.isdigit() and (fields := _stat(int(entry))):
            children.setdefault(int(fields[PARENT]), []).append(int(entry))
    found = list(children.get(pid, ()))
    for child in found:
        found.extend(children.get(child, ()))
    return found


def end(processes: Iterable[tuple[int, str]]) -> None:
    """Kill each process that is still the one on record, with all its descendants."""
    for pid, mark in processes:
        if not mark or start_mark(pid) != mark:
            continue
        # Listed before the first dies: orphans have a new parent, and can't be found any more.
        for member in (pid, *descendants(pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(member, signal.SIGKILL)


class Guardian:
    """The owner's end of the pipe. Closing it is the good end: then nothing is left to kill."""

    def __init__(self) -> None:
        self._process = self._started()
        self._processes: dict[int, str] = {}
        self._folders: list[str] = []
        self._closed = False

    @staticmethod
    def _started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this very file
            [sys.executable, "-I", "-S", __file__, *(p for p in sys.path if p.endswith("site-packages"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=interpreter_environment(),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The guardian's own pid."""
        return self._process.pid

    def watch(self, process: ProcessId) -> None:
        """Kill this process if the owner dies."""
        self._processes[process.pid] = process.started
        self._send()

    def forget(self, process: ProcessId) -> None:
        """The owner has ended this process itself."""
        self._processes.pop(process.pid, None)
        self._send()

    def watch_folder(self, folder: Path) -> None:
        """Remove this folder if the owner dies."""
        self._folders.append(str(folder))
        self._send()

    def forget_folder(self, folder: Path) -> None:
        """The owner has removed this folder itself."""
        self._folders.remove(str(folder))
        self._send()

    def mend(self) -> None:
        """Start the guardian again if somebody has killed it."""
        if not self._closed and self._process.poll() is not None:
            self._hang_up()
            self._process = self._started()
            self._send()

    def close(self) -> None:
        """End the guardian, and with it whatever is still on its list."""
        self._closed = True
        self._hang_up()
        self._process.wait()

    def _hang_up(self) -> None:
        pipe = self._process.stdin
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _send(self) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        order = {"processes": list(self._processes.items()), "folders": self._folders}
        # A guardian that somebody killed is no reason to fail; see `mend`.
        with contextlib.suppress(BrokenPipeError):
            pipe.write(json.dumps(order).encode() + b"\n")
            pipe.flush()


def main() -> None:
    """Wait for the owner's end, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.path.extend(sys.argv[1:])
    order: dict[str, Any] = {"processes": [], "folders": []}
    for line in sys.stdin:
        # A torn last line comes from an owner that died while writing: the one before stands.
        with contextlib.suppress(ValueError):
            order = json.loads(line)
    end(order["processes"])
    for folder in order["folders"]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
