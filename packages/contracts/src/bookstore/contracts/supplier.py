"""The supplier on the wire: orders to validate, verdicts, what was done, and how it is told to fail."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bookstore.contracts.base import Id, Wire
from bookstore.contracts.orders import MAX_LINES
from bookstore.contracts.values import END, Text

OrderKey = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[!-~]+" + END)]
OrderId: TypeAlias = Id | OrderKey
"""Ours are numbers; others may number theirs as they like (`test-001`)."""
Pieces = Annotated[int, Meta(ge=1, le=1_000_000_000, description="Pieces of one product.", examples=[2])]
Outcome = Literal["validated", "rejected"]


class SupplyLine(Wire, frozen=True, kw_only=True):
    """One line of an order that is to be validated."""

    book_id: Id
    quantity: Pieces


class ValidationRequest(Wire, frozen=True, kw_only=True):
    """What POST /validate takes: an order with either its `items`, or one `product` and its `quantity`."""

    order_id: OrderId
    items: Annotated[list[SupplyLine], Meta(min_length=1, max_length=MAX_LINES)] | UnsetType = UNSET
    product: Text | UnsetType = UNSET
    quantity: Pieces | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse what is neither form, or half of one.

        Raises:
            ValueError: which a decoder reports as a field of the wrong shape.
        """
        if self.items is UNSET:
            if self.product is UNSET or self.quantity is UNSET:
                raise ValueError("needs items, or both product and quantity")
        elif self.product is not UNSET or self.quantity is not UNSET:
            raise ValueError("takes items, or product and quantity, not both")


class Verdict(Wire, frozen=True, kw_only=True):
    """What POST /validate answers; a rejection says why."""

    order_id: OrderId
    status: Outcome
    reason: str | None


class OrderEffects(Wire, frozen=True, kw_only=True):
    """What was done for one order: how many verdicts were reached, in how many calls."""

    effects: int
    calls: int
    first_call_at: datetime
    last_call_at: datetime


class Effects(Wire, frozen=True, kw_only=True):
    """What GET /effects answers, by order."""

    orders: dict[str, OrderEffects]


Lasting = Annotated[float, Meta(gt=0, le=86_400, description="Seconds until the mode ends by itself.")]
Share = Annotated[float, Meta(ge=0, le=1, description="Which share of the calls suffers it.")]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1, description="Makes the same draw of calls each time.")]


class Mode(Wire, frozen=True, kw_only=True, tag_field="mode", rename={"lasting": "for"}):
    """What every mode can be told."""

    lasting: Lasting | None = None


class Normal(Mode, frozen=True, kw_only=True, tag="normal"):
    """Answer at once."""


class Down(Mode, frozen=True, kw_only=True, tag="down"):
    """Refuse connections."""


class Fault(Mode, frozen=True, kw_only=True):
    """A mode that may be meant for a share of the calls only."""

    rate: Share = 1.0
    seed: Seed | None = None


class Slow(Fault, frozen=True, kw_only=True, tag="slow"):
    """Reach the verdict at once, and answer `delay` seconds late."""

    delay: Annotated[float, Meta(ge=0, le=300, description="Seconds.")] = 5.0


class Error(Fault, frozen=True, kw_only=True, tag="error"):
    """Answer an HTTP error, and do nothing."""

    code: Annotated[int, Meta(ge=400, le=599, description="Status of the answer.")] = 500


class Flaky(Fault, frozen=True, kw_only=True, tag="flaky"):
    """Answer 500 now and then, and do nothing."""

    rate: Share = 0.3


class Hang(Fault, frozen=True, kw_only=True, tag="hang"):
    """Take the call, and neither do nor answer anything until the mode changes."""


class AcceptThenReset(Fault, frozen=True, kw_only=True, tag="accept_then_reset"):
    """Reach the verdict, and reset the connection instead of answering."""


class HalfBody(Fault, frozen=True, kw_only=True, tag="half_body"):
    """Reach the verdict, announce the whole answer, send half of it and close."""


class BadJson(Fault, frozen=True, kw_only=True, tag="bad_json"):
    """Reach the verdict, and answer what is no JSON."""


class Throttled(Fault, frozen=True, kw_only=True, tag="throttled"):
    """Answer 429 with Retry-After, and do nothing."""

    retry_after: Annotated[int, Meta(ge=0, le=3600, description="Seconds.")] = 1


FailureMode: TypeAlias = (
    Normal | Slow | Error | Down | Flaky | Hang | AcceptThenReset | HalfBody | BadJson | Throttled
)
"""What POST /set_failure_mode takes."""


class CurrentMode(Wire, frozen=True, kw_only=True, rename={"lasting": "for"}):
    """What GET /get_failure_mode answers: the mode, its parameters, and when it will end by itself."""

    mode: str
    rate: float | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    delay: float | UnsetType = UNSET
    code: int | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    lasting: float | UnsetType = UNSET
    since: datetime
    ends_at: datetime | None


class ModeChanged(CurrentMode, frozen=True, kw_only=True):
    """What POST /set_failure_mode answers."""

    status: Literal["success"] = "success"


def current_mode(mode: FailureMode, since: datetime, ends_at: datetime | None) -> CurrentMode:
    """`mode` as it is told to others; what it wasn't given stays out."""
    told = {name: value for name, value in msgspec.structs.asdict(mode).items() if value is not None}
    return CurrentMode(mode=str(mode.__struct_config__.tag), since=since, ends_at=ends_at, **told)
