"""How a start goes, told to whoever waits for it: on the terminal, or through a pipe from a process apart."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TextIO

import msgspec

from bookstore.lab.failures import Exit, LabError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Progress(Protocol):
    """Where a supervisor reports to."""

    def line(self, text: str) -> None:
        """Say one thing that has happened."""
        ...

    def ready(self) -> None:
        """Say that everything is healthy."""
        ...


class Message(msgspec.Struct, omit_defaults=True):
    """What goes through the pipe."""

    line: str = ""
    ready: bool = False
    failure: tuple[str, str, int, tuple[str, ...]] | None = None


_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


class Log:
    """The supervisor's own log, in JSON lines as the apps write theirs, without anybody's address."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def line(self, text: str) -> None:
        """Append one line."""
        entry = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            + f".{time.time_ns() // 10**6 % 1000:03}Z",
            "level": "info",
            "service": "supervisor",
            "message": _ADDRESS.sub("[hidden]", text),
        }
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, msgspec.json.encode(entry) + b"\n")
        finally:
            os.close(handle)


class Terminal:
    """Reports to the terminal and to the log; `on_ready` shows the table.

    That nobody reads any more (`bookstore up | head`) is no reason to end.
    """

    def __init__(self, log: Log, on_ready: Callable[[], None], out: TextIO = sys.stdout) -> None:
        self._log = log
        self._on_ready = on_ready
        self._out = out

    def line(self, text: str) -> None:
        """Print and log one line."""
        with suppress(BrokenPipeError):
            self._out.write(f"  {text}\n")
            self._out.flush()
        self._log.line(text)

    def ready(self) -> None:
        """Show the table."""
        with suppress(BrokenPipeError):
            self._on_ready()


class Pipe:
    """Reports through a pipe until everything is healthy, and then only to the log."""

    def __init__(self, log: Log, writer: int) -> None:
        self._log = log
        self._writer: int | None = writer

    def line(self, text: str) -> None:
        """Send and log one line."""
        self._send(Message(line=text))
        self._log.line(text)

    def ready(self) -> None:
        """Send the good news and hang up."""
        self._send(Message(ready=True))
        self.hang_up()

    def failed(self, failure: LabError) -> None:
        """Send the bad news and hang up."""
        self._send(Message(failure=(failure.cause, failure.advice, failure.code, failure.details)))
        self.hang_up()

    def hang_up(self) -> None:
        """Close our end; whoever waits there is told."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    def _send(self, message: Message) -> None:
        if self._writer is None:
            return
        try:
            os.write(self._writer, msgspec.json.encode(message) + b"\n")
        except BrokenPipeError:
            # Nobody waits any more.
            self.hang_up()


def follow(reader: int, say: Callable[[str], None]) -> bool:
    """Pass on what comes through the pipe; True when everything is healthy, False if the other end just died.

    Raises:
        LabError: the start failed.
    """
    with os.fdopen(reader, "rb") as pipe:
        for text in pipe:
            message = msgspec.json.decode(text, type=Message)
            if message.ready:
                return True
            if message.failure is not None:
                cause, advice, code, details = message.failure
                raise LabError(cause, advice, Exit(code), details)
            say(message.line)
    return False
