"""The state folder: data, logs, passwords, and the record of what runs."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.stores.process import ProcessId

if TYPE_CHECKING:
    from collections.abc import Mapping

# Everything that we ever make in there, and so everything that `reset` removes.
OUR_NAMES = (
    "postgres",
    "postgres.new",
    "redis",
    "apps",
    "observe",
    "logs",
    "runs",
    "desk",
    "lab",
    "credentials.json",
    "record.json",
)
ROOM_NEEDED = 200 * 2**20
LOOK_SECONDS = 0.05


def default_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the state is unless somebody says otherwise."""
    if chosen := environ.get("BOOKSTORE_STATE"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/bookstore")
    base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "bookstore"


class Lock:
    """Held by the one supervisor of a state folder; the system lets go of it when the supervisor ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Try to take it; False if somebody else holds it."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def sign(self) -> None:
        """Write down that it is this process that holds it."""
        me = ProcessId.of(os.getpid())
        if self._handle is not None and me is not None:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{me.pid} {me.started}".encode(), 0)

    def hand_over(self) -> None:
        """Close our copy; a forked process keeps its own, and with it the lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def holder(self) -> ProcessId | None:
        """Who signed last, if that process is still there."""
        try:
            pid, started = self._path.read_text().split()
            process = ProcessId(int(pid), started)
        except (OSError, ValueError):
            return None
        return process if process.alive else None


@dataclass(frozen=True)
class StateFolder:
    """The paths within a state folder."""

    path: Path

    @property
    def lock(self) -> Lock:
        """The supervisor's lock, not taken yet."""
        return Lock(self.path / "supervisor")

    @property
    def record(self) -> Path:
        """What runs, written by the supervisor."""
        return self.path / "record.json"

    @property
    def credentials(self) -> Path:
        """The passwords that were generated."""
        return self.path / "credentials.json"

    @property
    def logs(self) -> Path:
        """A file for each instance, and the supervisor's own."""
        return self.path / "logs"

    def log(self, instance: str) -> Path:
        """The log of one instance."""
        return self.logs / f"{instance}.log"

    def kept(self, instance: str) -> Path:
        """The folder of one app instance, for what it keeps in files; the app makes it."""
        return self.path / "apps" / instance

    @property
    def observe(self) -> Path:
        """What the tools that look on are told, and what they keep."""
        return self.path / "observe"

    @property
    def runs(self) -> Path:
        """A folder for each run of experiments, guides or load, with its report."""
        return self.path / "runs"

    def new_run(self, kind: str) -> Path:
        """A folder for a run that begins now, named by the second, which no other run shares."""
        while True:
            out = self.runs / time.strftime(f"%Y%m%d-%H%M%S-{kind}")
            try:
                out.mkdir(parents=True)
            except FileExistsError:
                time.sleep(LOOK_SECONDS)
            else:
                return out

    @property
    def desk(self) -> Path:
        """What the desk keeps: the runs that it started, and the faults that are switched on."""
        return self.path / "desk"

    @property
    def exists(self) -> bool:
        """Whether it has ever been used."""
        return (self.path / "supervisor").exists()

    def open(self) -> None:
        """Make the folder and close it to others, or say why it can't be used.

        Raises:
            LabError: not writable, not ours, or the disk is full.
        """
        try:
            self._open()
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise folder_error(self.path, error) from error
        if free < ROOM_NEEDED:
            raise folder_error(
                self.path, OSError(errno.ENOSPC, f"only {free // 2**20} MB are left of the 200 needed")
            )

    def _open(self) -> None:
        self._refuse_foreign()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Others may neither look in nor, in a shared folder like /tmp, put something under our names.
        self.path.chmod(0o700)
        (self.path / "supervisor").touch(mode=0o600)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def _refuse_foreign(self) -> None:
        """Never close (or fill) a folder that somebody uses for something else."""
        if self.path.is_dir() and not self.exists and any(self.path.iterdir()):
            raise LabError(
                f"{self.path} is a folder with other things in it, and not a state folder of bookstore.",
                "Name a new or an empty folder with --state or BOOKSTORE_STATE.",
                Exit.FOLDER,
            )

    def remove_data(self) -> list[str]:
        """Remove what we made; whatever else lies in the folder stays."""
        removed = [name for name in OUR_NAMES if (self.path / name).exists()]
        for name in removed:
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return removed


def folder_error(path: Path, error: OSError) -> LabError:
    """Say what an error of the file system means for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LabError(
            f"The disk with {path} is full: {error.strerror}.",
            "Free some space, or name a folder on another disk with --state.",
            Exit.DISK,
        )
    return LabError(
        f"The state folder {path} can't be used: {error.strerror}"
        + (f" ({error.filename})." if error.filename and str(error.filename) != str(path) else "."),
        "Name a folder that you may write to with --state or BOOKSTORE_STATE.",
        Exit.FOLDER,
    )
