"""All that verdicts are made of, gathered while an experiment runs, and nothing else.

Verdicts are pure functions of this: a history that was forged can be judged as well as one that was lived.
"""

from typing import Literal

import msgspec

from bookstore.lab.load.history import Request

Judgement = Literal["valid", "invalid", "unknown"]
WORST: dict[Judgement, int] = {"valid": 0, "unknown": 1, "invalid": 2}
EXIT: dict[Judgement, int] = {"valid": 0, "invalid": 1, "unknown": 2}
Samples = list[tuple[float, float]]
States = list[tuple[float, str]]


class Bitten(msgspec.Struct, frozen=True):
    """Whether a fault did what it was meant to, and how that is known."""

    fault: str
    bit: bool
    proof: str


class Fate(msgspec.Struct, kw_only=True):
    """What became of an order: its state, and each change of it."""

    status: str
    changes: list[str] = []
    """What it became, one after the other; without the `Processing` that it began with."""


class Effect(msgspec.Struct, kw_only=True):
    """What the supplier did for an order."""

    effects: int
    calls: int


class Stock(msgspec.Struct, kw_only=True):
    """The book of the load: copies at first, and what can be sold and what is held in the end."""

    copies: int
    quantity: int
    reserved: int


class Evidence(msgspec.Struct, kw_only=True):
    """One run.

    Attributes:
        requests: the client's history, of all generators.
        due: how many requests were scheduled, of all generators.
        began: when the load began; all times are on the machine's monotonic clock.
        injected: when the first fault was being injected.
        healed: when the last rollback was done.
        ended: when everything was over.
        bites: the faults, each with its proof.
        orders: all orders of the load's customer by number, acknowledged or not; None if unreadable.
        effects: what the supplier did, by order; None if it couldn't be asked.
        stock: of the book of the load; None if it couldn't be asked.
        drained: seconds from the healing until nothing was left to do; None if that wasn't reached.
        well_again: seconds from the healing until every part was healthy; None if that wasn't reached.
        metrics: samples of what was watched.
        states: how each part felt.
        monitor: what the monitor said of each service; None if there is no monitor in the system.
    """

    requests: list[Request]
    due: int
    began: float
    injected: float
    healed: float
    ended: float
    bites: list[Bitten] = []
    orders: dict[int, Fate] | None = None
    effects: dict[int, Effect] | None = None
    stock: Stock | None = None
    drained: float | None = None
    well_again: float | None = None
    metrics: dict[str, Samples] = {}
    states: dict[str, States] = {}
    monitor: dict[str, States] | None = None

    @property
    def acknowledged(self) -> set[int]:
        """Orders that a client was told of."""
        return {request.order for request in self.requests if request.order}


class Verdict(msgspec.Struct, frozen=True):
    """What is known about one invariant, why, and examples."""

    invariant: str
    judgement: Judgement
    reason: str
    examples: list[int] = []


def worst(verdicts: list[Verdict]) -> Judgement:
    """The whole: invalid if anything is, else unknown if anything is."""
    if not verdicts:
        return "unknown"
    return max((v.judgement for v in verdicts), key=lambda judgement: WORST[judgement])
