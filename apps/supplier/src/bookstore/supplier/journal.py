"""What the tally counted, in a file that is only ever appended to: a line an event, written as it happens.

A line is with the kernel before its call is answered, so nothing that anybody was told dies with this process
(SIGKILL). Nothing is forced onto the disk: a machine that loses its power may lose the last seconds.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bookstore.contracts.supplier import Outcome


class Call(msgspec.Struct, array_like=True, tag="call", frozen=True):
    """A call for an order arrived."""

    order: str
    at: float


class Effect(msgspec.Struct, array_like=True, tag="effect", frozen=True, gc=False):
    """The verdict that was reached for an order, under a key."""

    key: str
    order: str
    status: Outcome
    reason: str | None


class JournalUnusable(Exception):
    """The file can't be used; the message says why."""


class Journal:
    """The file at `path`, locked against a second supplier for as long as it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._size = 0
        self._encode = msgspec.json.Encoder().encode

    def open(self) -> Iterator[Call | Effect]:
        """Open the file, and give all that was written.

        A last line without its end is cut off: the process died while it wrote, and never answered that call.

        Raises:
            JournalUnusable: if the file can't be had, somebody else writes to it, or a line within is
                damaged: half a tally would prove nothing.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalUnusable(f"{self._path} is in use by another supplier") from error
        except OSError as error:
            raise JournalUnusable(f"{self._path} can't be opened: {error.strerror}") from error
        decode = msgspec.json.Decoder(Call | Effect).decode
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    yield decode(line)
                except msgspec.DecodeError as error:
                    raise JournalUnusable(f"{self._path} line {number} can't be read: {error}") from error
                self._size += len(line)
        os.ftruncate(self._file, self._size)

    def write(self, event: Call | Effect) -> None:
        """Append an event. If the process dies after this, the event has happened; before, it hasn't.

        Raises:
            OSError: if it couldn't be written; then nothing of it stays.
        """
        line = self._encode(event) + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError:
            written = 0
        if written != len(line):
            os.ftruncate(self._file, self._size)
            raise OSError(errno.ENOSPC, f"{self._path} takes no more")
        self._size += written

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
