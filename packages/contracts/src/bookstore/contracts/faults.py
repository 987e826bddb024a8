"""Failures that somebody switches on on purpose, and that end by themselves."""

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta, field

from bookstore.contracts.base import Wire
from bookstore.contracts.lab import FaultKind, PossibleFault

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


class Faults(Wire, frozen=True, kw_only=True):
    """What GET /v2/monitor/faults answers."""

    data: list[Fault]
    """Those that are switched on."""
    possible: list[PossibleFault]
    """Those that could be, where that is allowed."""


class NewFault(Wire, frozen=True, kw_only=True):
    """What POST /v2/monitor/faults takes. It says when it ends: none is for ever."""

    service: FaultName
    kind: FaultKind
    mode: FaultName
    parameters: Annotated[dict[FaultName, FaultValue], Meta(max_length=10)] = field(
        default_factory=dict[str, FaultValue]
    )
    seconds: Annotated[float, Meta(ge=1, le=600, description="Seconds until it ends by itself.")]
