"""What happened and when, in the shape of Chaos Toolkit's journal; ours stands under `extensions`."""

import os
import time
from datetime import UTC, datetime
from platform import node, platform, python_version
from typing import Any, Literal

import msgspec

from bookstore.lab.experiments.evidence import Bitten, Judgement, Samples, States, Verdict
from bookstore.lab.load.summary import LAG_LIMIT, Latency

Status = Literal["completed", "interrupted", "failed", "aborted"]
"""`completed` says nothing about the verdict. `aborted`: the system wasn't well, so nothing was done to it.
`failed`: an action couldn't be done."""


def now() -> str:
    """This moment, as RFC 3339 has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Step(msgspec.Struct, kw_only=True):
    """One activity that was run."""

    activity: str
    phase: str
    start: str
    status: Literal["succeeded", "failed"]
    duration: float
    output: Any = None


class Phase(msgspec.Struct, kw_only=True):
    """One phase: how many requests were due in it, and what they got."""

    name: str
    seconds: float
    sent: int
    ok: int
    refused: int
    unknown: int
    latency: Latency | None
    over_two_seconds: int


class Findings(msgspec.Struct, kw_only=True):
    """Our part of the journal.

    Attributes:
        marks: when each phase began, in seconds since the load did.
        lagged_before_ms: how late the generator was in the run before, which therefore proved nothing.
    """

    name: Literal["bookstore-lab"] = "bookstore-lab"
    experiment: str
    digest: str
    judgement: Judgement
    expected: str
    verdicts: list[Verdict]
    bites: list[Bitten]
    marks: dict[str, float] = {}
    phases: list[Phase] = []
    lag_p99_ms: float = 0.0
    lagged_before_ms: float | None = None
    states: dict[str, States] = {}
    metrics: dict[str, Samples] = {}
    monitor: dict[str, States] | None = None
    restored: bool = False

    @property
    def lagged(self) -> bool:
        """Whether nothing was proved, and the instrument was at fault, not the system."""
        wanted = self.judgement == "unknown" and self.expected != "unknown"
        return wanted and self.lag_p99_ms > 1000 * LAG_LIMIT and all(bite.bit for bite in self.bites)

    @property
    def again(self) -> str:
        """What a report says of a run that was not the first."""
        late = self.lagged_before_ms
        return (
            ""
            if late is None
            else f"; the run before proved nothing: the generator was late by {late:.0f} ms"
        )


class Journal(msgspec.Struct, kw_only=True):
    """One run of one experiment."""

    system: str = msgspec.field(name="platform", default_factory=platform)
    machine: str = msgspec.field(name="node", default_factory=node)
    python: str = msgspec.field(default_factory=python_version)
    cpus: int = msgspec.field(default_factory=lambda: os.cpu_count() or 0)
    start: str = msgspec.field(default_factory=now)
    end: str = ""
    duration: float = 0.0
    status: Status = "completed"
    deviated: bool = False
    experiment: Any = None
    steady_states: dict[str, bool | None] = {}
    run: list[Step] = []
    rollbacks: list[Step] = []
    extensions: list[Findings] = []

    @property
    def findings(self) -> Findings:
        """Our part."""
        return self.extensions[0]


class Stopwatch:
    """How long something has taken."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until now."""
        return round(time.monotonic() - self._began, 3)
