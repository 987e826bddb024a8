"""The circuits of one process, as it shows them itself, and how an operator switches one."""

from typing import Annotated, Literal

from msgspec import Meta

from bookstore.contracts.base import Wire

CircuitAction = Literal["force_open", "reset"]
"""Let nothing through until it is reset; begin anew, closed."""
CircuitName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*\Z")]


class OwnCircuit(Wire, frozen=True, kw_only=True):
    """A circuit of the process that answers. Rates are None while too little is known."""

    dependency: Annotated[str, Meta(examples=["supplier"])]
    state: Annotated[str, Meta(examples=["closed"])]
    """The worst, where several lead to one dependency."""
    calls: Annotated[int, Meta(examples=[20])]
    failures: Annotated[int, Meta(examples=[3])]
    failure_rate: Annotated[float | None, Meta(examples=[0.15])]
    rejected: Annotated[int, Meta(examples=[0])]


class OwnCircuits(Wire, frozen=True, kw_only=True):
    """What GET /v2/circuits answers."""

    data: list[OwnCircuit]


class CircuitOrder(Wire, frozen=True, kw_only=True):
    """What POST /v2/circuits/{dependency} takes."""

    action: CircuitAction
