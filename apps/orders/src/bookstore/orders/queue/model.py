"""Rules of the queue, without I/O: what a job can come to, and when it is tried again."""

import math
import random
from typing import Final, Literal

import msgspec

from bookstore.contracts.orders import NewLine
from bookstore.orders.life import Claim, End

Kind = Literal["validate", "settle"]
"""`validate` asks the supplier for its verdict; `settle` tells books what becomes of an order's stock."""

STREAMS: Final[dict[Kind, str]] = {
    "validate": "bookstore:validations",
    "settle": "bookstore:settlements",
}
"""What the bell of each kind is called."""

Trouble = Literal["4xx", "5xx", "timeout", "other"]
"""Why a call came to nothing, in the words of `worker_jobs_failed_total`."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 15.0
"""Seconds between two episodes of one job; the longest bounds how late a recovery is noticed."""
_LONGEST_CAUSE: Final = 500


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger that a worker has claimed."""

    id: int
    token: int
    kind: Kind
    order_id: int
    items: list[NewLine]
    attempts: int
    """Claims that came to no outcome, this one included."""
    episodes: int
    """How often the work was tried and failed."""
    traceparent: str | None
    reservation_id: str | None
    settlement: Literal["commit", "release"] | None
    reserve: bool
    """Whether the stock is still to be reserved before anything else (after a redrive)."""

    @property
    def claim(self) -> Claim:
        """What its worker holds it by."""
        return Claim(self.id, self.token)


class Ended(msgspec.Struct, frozen=True):
    """A validation's end: the state that its order gets."""

    to: End
    cause: str
    trouble: Trouble | None = None


class Settled(msgspec.Struct, frozen=True):
    """A settlement's end: `done`, or `dead` if books won't ever have it."""

    state: Literal["done", "dead"]
    cause: str | None = None
    trouble: Trouble | None = None


class Parked(msgspec.Struct, frozen=True):
    """Not now: the job is due again in some seconds."""

    cause: str
    seconds: float
    trouble: Trouble | None = None
    """What it was tried and failed with. It wasn't tried if a circuit was open or the worker had to leave."""
    forgiven: bool = True
    """Whether the claim doesn't count towards the dead letters; it does after an error of our own."""


Outcome = Ended | Settled | Parked


def pause_after(episodes: int, chance: float | None = None) -> float:
    """Seconds until a job is tried again that has failed so many times: doubling, half of it random."""
    chance = random.random() if chance is None else chance  # noqa: S311 - only spreads load
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * math.ldexp(1.0, min(episodes, 30)))
    return pause * (0.5 + 0.5 * chance)


def spread(seconds: float, chance: float | None = None) -> float:
    """A bit later than `seconds`, so that jobs that were parked together don't all come back together."""
    chance = random.random() if chance is None else chance  # noqa: S311 - as above
    return seconds + chance * min(max(seconds, 1.0), 3.0)


def worn_out(kind: Kind, claims: int) -> Ended | Settled:
    """What becomes of a job whose claims keep ending without any outcome: it may kill whoever runs it."""
    cause = f"{claims} claims came to no outcome"
    return Ended("Failed", cause) if kind == "validate" else Settled("dead", cause)


def told(cause: str) -> str:
    """A cause as it can be kept: one line, not endless, and without what PostgreSQL won't take."""
    text = " ".join(cause.replace("\0", " ").encode(errors="replace").decode().split())
    return text if len(text) <= _LONGEST_CAUSE else f"{text[: _LONGEST_CAUSE - 1]}…"
