"""What an experiment or a guide says while it runs: to people as text, to programs as lines of JSON."""

# ruff: noqa: T201 - printing is what a command does

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal, Protocol, TextIO

import msgspec

Verdict = Literal["ok", "bad", "unknown"]
Ending = Literal["passed", "failed", "valid", "invalid", "unknown", "interrupted", "error"]
MARKS: dict[Verdict, str] = {"ok": "✓", "bad": "✗", "unknown": "?"}


def moment() -> datetime:
    """Now."""
    return datetime.now(UTC)


class Began(msgspec.Struct, tag="began", kw_only=True, frozen=True):
    """An experiment or a guide has begun: one of those that were asked for."""

    at: datetime = msgspec.field(default_factory=moment)
    name: str
    title: str


class Entered(msgspec.Struct, tag="entered", kw_only=True, frozen=True):
    """A phase has begun, and with it the one before it is over. `expected` is what is to come of it."""

    at: datetime = msgspec.field(default_factory=moment)
    phase: str
    expected: str = ""


class Said(msgspec.Struct, tag="said", kw_only=True, frozen=True):
    """Something happened in the course of a phase."""

    at: datetime = msgspec.field(default_factory=moment)
    text: str


class Seen(msgspec.Struct, tag="seen", kw_only=True, frozen=True):
    """Something was looked at and judged."""

    at: datetime = msgspec.field(default_factory=moment)
    title: str
    expected: str
    seen: str
    verdict: Verdict


class Ended(msgspec.Struct, tag="ended", kw_only=True, frozen=True):
    """It is over. `report` is the name of the folder with its report, if there is one."""

    at: datetime = msgspec.field(default_factory=moment)
    state: Ending
    report: str = ""


def starts() -> Entered:
    """The first phase of all that is run."""
    return Entered(phase="start", expected="a system of its own runs")


def ends() -> Entered:
    """The last phase of all that is run."""
    return Entered(phase="end", expected="its system has ended, and nothing is left running")


Event = Began | Entered | Said | Seen | Ended


class Teller(Protocol):
    """Whom a run tells what happens."""

    def tell(self, event: Event) -> None:
        """Tell it, at once."""
        ...


class Machine:
    """Writes each event as a line of JSON on standard output."""

    def tell(self, event: Event) -> None:
        """Write it."""
        print(msgspec.json.encode(event).decode(), flush=True)


class People:
    """Writes what people want to know, with the seconds since it began."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out
        self._began = time.monotonic()

    def tell(self, event: Event) -> None:
        """Print it; the end is told by the command itself, with everything else that was run."""
        match event:
            case Began():
                self._began = time.monotonic()
                print(f"\n{event.name}: {event.title}", file=self._out, flush=True)
            case Entered():
                self._say(event.phase)
            case Said():
                self._say(event.text)
            case Seen():
                self._say(f"{MARKS[event.verdict]} {event.title}: {event.seen}")
            case Ended():
                pass

    def _say(self, line: str) -> None:
        print(f"  {time.monotonic() - self._began:5.1f} s  {line}", file=self._out, flush=True)


def read(lines: list[bytes]) -> tuple[list[Event], list[str]]:
    """The events among lines, and the lines that are none: errors are written there as well."""
    events: list[Event] = []
    others: list[str] = []
    decoder = msgspec.json.Decoder[Event](Event)
    for line in lines:
        try:
            events.append(decoder.decode(line))
        except msgspec.DecodeError:
            others.append(line.decode(errors="replace").strip())
    return events, [other for other in others if other]
