"""Failures that somebody switches on on purpose, and that end by themselves."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from bookstore.contracts.base import Wire

FaultKind = Literal["supplier", "process", "network", "store"]
FaultName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_-]*\Z")]
FaultText = Annotated[str, Meta(max_length=100)]
FaultValue: TypeAlias = int | float | FaultText
Parameters = dict[str, FaultValue]


class Parameter(Wire, frozen=True, kw_only=True):
    """One of a fault's parameters: a number between two bounds, or one of some words."""

    default: float | str
    least: float | None = None
    most: float | None = None
    unit: str = ""
    choices: list[str] | None = None
    """The words that it may be; None where it is a number."""


class PossibleFault(Wire, frozen=True, kw_only=True):
    """A failure that can be switched on."""

    service: str
    kind: FaultKind
    mode: str
    parameters: dict[str, Parameter]
    says: str
    """What it does, for people."""


class PossibleFaults(Wire, frozen=True, kw_only=True):
    """What GET /faults/possible answers, at the lab's desk."""

    data: list[PossibleFault]


class Fault(Wire, frozen=True, kw_only=True):
    """A failure that is switched on."""

    id: str
    service: str
    kind: FaultKind
    mode: str
    parameters: Parameters
    since: datetime
    ends_at: datetime | None
    """None of one that was switched on by other means, and has no end."""
    by: str
    """Who did it; empty if that isn't known here."""


class Faults(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/faults answers."""

    data: list[Fault]
    """Those that are switched on."""
    possible: list[PossibleFault]
    """Those that could be, where that is allowed."""


class ActiveFaults(Wire, frozen=True, kw_only=True):
    """What GET /faults answers, at the lab's desk."""

    data: list[Fault]


class NewFault(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/faults takes. It says when it ends: none is for ever."""

    service: FaultName
    kind: FaultKind
    mode: FaultName
    parameters: Annotated[dict[FaultName, FaultValue], Meta(max_length=10)] = field(
        default_factory=dict[str, FaultValue]
    )
    seconds: Annotated[float, Meta(ge=1, le=600, description="Seconds until it ends by itself.")]


class NewDeskFault(NewFault, frozen=True, kw_only=True):
    """What POST /faults takes, at the lab's desk: with who asks for it."""

    by: str = ""
