"""The supervisor's record of what it runs: written at each change, read by every other command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from bookstore.stores.private import write_private
from bookstore.stores.process import ProcessId

if TYPE_CHECKING:
    from pathlib import Path

Phase = Literal["starting", "running", "stopping"]
ENDED = "ended in good order; `bookstore up` starts it again"
"""What is noted of an app that somebody has told to end."""


class Row(msgspec.Struct, kw_only=True):
    """One instance, or a further port of one.

    Attributes:
        name: the service.
        instance: its name among the service's processes.
        kind: `store`, `app` or `tool`.
        url: where it is reached; a store's is its connection URL.
        port: the port in that URL.
        wanted: the port that it would have had, had that been free.
        pid: the process id; None while there is no process of ours.
        started: the process's start mark (see `ProcessId`).
        since: when that process was started, in seconds since 1970.
        ready: whether that process has been healthy once.
        restarts: how often it was started again.
        door_of: the instance whose further port this is; empty for an instance itself.
        note: what there is to say about it, such as why it isn't running.
    """

    name: str
    instance: str
    kind: str
    url: str
    port: int
    wanted: int | None = None
    pid: int | None = None
    started: str = ""
    since: float | None = None
    ready: bool = False
    restarts: int = 0
    door_of: str = ""
    note: str = ""

    @property
    def process(self) -> ProcessId | None:
        """The process, if there ever was one."""
        return None if self.pid is None else ProcessId(self.pid, self.started)


class Record(msgspec.Struct, kw_only=True):
    """The whole system."""

    phase: Phase
    since: float
    rows: list[Row]

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        write_private(path, msgspec.json.encode(self).decode())

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """The record, or None if there is none (or none that we understand)."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return None
