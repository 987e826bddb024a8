"""What can go wrong with the command, each with an exit code of its own and what to do about it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of `bookstore`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    FOLDER = 10
    PORT = 11
    SETTING = 12
    STORE = 13
    SERVICE = 14
    DISK = 15
    INTERRUPTED = 130


class LabError(Exception):
    """A command can't do what it was asked to.

    Attributes:
        cause: what happened, in one sentence.
        advice: what to do about it.
        code: the exit code.
        details: lines that show more, such as the last ones of a log.
    """

    def __init__(self, cause: str, advice: str, code: Exit, details: tuple[str, ...] = ()) -> None:
        super().__init__(cause)
        self.cause = cause
        self.advice = advice
        self.code = code
        self.details = details

    def lines(self) -> list[str]:
        """The whole message, a line each."""
        return [f"error: {self.cause}", *(f"  | {line}" for line in self.details), f"  → {self.advice}"]
