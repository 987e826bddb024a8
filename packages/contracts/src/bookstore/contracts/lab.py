"""What the lab's desk takes and answers: runs, their reports, and what was logged."""

from datetime import datetime
from typing import Literal

from bookstore.contracts.base import Wire

Kind = Literal["scenario", "experiment"]
State = Literal["running", "passed", "failed", "valid", "invalid", "unknown", "interrupted", "error"]
"""A scenario has passed or failed, an experiment is valid, invalid or unknown. `interrupted`: somebody
stopped it, and everything was taken back. `error`: it couldn't be run, which says nothing of the system."""
StepVerdict = Literal["ok", "bad", "unknown", "running"]


class Runnable(Wire, frozen=True, kw_only=True):
    """Something that can be run."""

    kind: Kind
    name: str
    title: str
    says: str
    """What it is about."""
    tags: list[str]
    seconds: int
    """How long it takes, about."""


class Catalogue(Wire, frozen=True, kw_only=True):
    """What GET /catalogue answers."""

    data: list[Runnable]


class NewRun(Wire, frozen=True, kw_only=True):
    """What to run."""

    kind: Kind
    name: str


class RunStep(Wire, frozen=True, kw_only=True):
    """One thing that is looked at. An experiment's are its phases first, and its invariants then."""

    at: datetime
    title: str
    expected: str
    seen: str
    verdict: StepVerdict


class Run(Wire, frozen=True, kw_only=True):
    """One run, with all its steps so far."""

    id: str
    kind: Kind
    name: str
    state: State
    phase: str
    """What it does now; of what is over, what it did last."""
    started_at: datetime
    ended_at: datetime | None
    steps: list[RunStep]
    report: str | None
    """The identity of its report, once there is one."""


class Runs(Wire, frozen=True, kw_only=True):
    """What GET /runs answers, the newest first."""

    data: list[Run]


class Report(Wire, frozen=True, kw_only=True):
    """A page that tells of something that was run."""

    id: str
    kind: Kind
    name: str
    """Of what was run; all names, if that was several things."""
    at: datetime
    verdict: State


class Reports(Wire, frozen=True, kw_only=True):
    """What GET /reports answers, the newest first."""

    data: list[Report]


class LogLine(Wire, frozen=True, kw_only=True):
    """A line of a log."""

    at: datetime
    service: str
    instance: str
    level: str
    message: str
    more: dict[str, str]
    """Whatever else it says."""


class LogLines(Wire, frozen=True, kw_only=True):
    """What GET /logs/{trace_id} answers, in the order of time."""

    data: list[LogLine]
