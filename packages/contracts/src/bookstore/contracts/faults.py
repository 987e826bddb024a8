"""Failures that somebody switches on on purpose, and that end by themselves."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from bookstore.contracts.base import Wire

FaultKind = Literal["supplier", "process", "network", "store"]
"""A mode of the supplier; something done to a process, to the way between two, or to a store."""
FaultName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_-]*\Z")]
FaultText = Annotated[str, Meta(max_length=100)]
FaultValue: TypeAlias = int | float | FaultText


class Fault(Wire, frozen=True, kw_only=True):
    """A failure that is switched on."""

    id: str
    service: str
    kind: FaultKind
    mode: str
    parameters: dict[str, FaultValue]
    since: datetime
    ends_at: datetime | None
    """None of one that was switched on by other means, and has no end."""
    by: str
    """Who did it; empty if that isn't known here."""


class FaultParameter(Wire, frozen=True, kw_only=True):
    """What a failure can be told: a number from `least` to `most`, or one of `choices`."""

    default: FaultValue | None
    least: float | None = None
    most: float | None = None
    unit: str = ""
    choices: list[str] | None = None


class PossibleFault(Wire, frozen=True, kw_only=True):
    """A failure that can be switched on, and what it does, in a sentence."""

    service: str
    kind: FaultKind
    mode: str
    parameters: dict[str, FaultParameter]
    says: str


class Faults(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/faults answers, and of the desk GET /faults and GET /faults/possible."""

    data: list[Fault]
    """Those that are switched on."""
    possible: list[PossibleFault] = field(default_factory=list[PossibleFault])


class NewFault(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/faults takes. It says when it ends: none is for ever."""

    service: FaultName
    kind: FaultKind
    mode: FaultName
    parameters: Annotated[dict[FaultName, FaultValue], Meta(max_length=10)] = field(
        default_factory=dict[str, FaultValue]
    )
    seconds: Annotated[float, Meta(ge=1, le=600, description="Seconds until it ends by itself.")]
