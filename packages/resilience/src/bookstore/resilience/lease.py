"""Room that was taken in one go, to be spent here in small change."""

from asyncio import Future, Task
from collections import deque
from typing import NamedTuple, TypeAlias

from bookstore.resilience.clock import SLACK
from bookstore.resilience.store import Decision

Turn: TypeAlias = "Future[Decision | None]"
"""A place in line, and the answer when it has come."""


class Grant(NamedTuple):
    """What a store has granted: units, the answer for who asked, and the instant that they are for."""

    units: int
    decision: Decision
    at: int


class Pool:
    """What one process holds of one key, and the line of those who wait for more.

    It never holds more than one lease, and for no longer than the lease lasts: so much, at the most, each of
    the processes may spend at the wrong time. What comes is handed to those in line, in their order, before
    anybody else can ask: a task that spends in a loop doesn't take it all.
    """

    __slots__ = (
        "_elsewhere", "_held", "_line", "_refused", "_refused_until", "_reset_at", "_until",
        "at", "refill", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self._held = 0
        self._until = 0.0
        self.at = 0  # the instant of the grant, by the clock of the store
        self._refused = 0  # the cost that there was no room for, nor is
        self._refused_until = 0.0
        self._elsewhere = 0  # what was left in the store when it was last asked
        self._reset_at = 0.0
        self._line: deque[tuple[int, Turn]] = deque()
        self.waiting = 0  # what those in line want together
        self.refill: Task[None] | None = None

    @property
    def left(self) -> int:
        """What is left of the lease, should it last."""
        return self._held

    def dry(self, now: float) -> bool:
        """Whether it's known that the store has no more for now."""
        return now < self._refused_until - SLACK

    @property
    def next_cost(self) -> int:
        """What the first in line wants."""
        return self._line[0][0] if self._line else 0

    def held(self, now: float) -> int:
        """What may still be spent from here."""
        return self._held if now < self._until - SLACK else 0

    def at_rest(self, now: float) -> bool:
        """Whether it can be forgotten."""
        return self.refill is None and not self.held(now) and now >= self._refused_until

    def fill(self, now: float, ttl: float, cost: int, grant: Grant) -> None:
        """Take in what the store has granted, or that it had no room for `cost`."""
        answer = grant.decision
        if grant.units:
            self._held = self.held(now) + grant.units
            self._until = now + ttl
            self.at = grant.at
        else:
            self._refused = cost
            self._refused_until = now + answer.retry_after
        self._elsewhere = answer.remaining
        self._reset_at = now + answer.reset_after

    def queue(self, cost: int) -> Turn:
        """A place in line for the answer, which is `None` if there is none."""
        turn: Turn = Future()
        self._line.append((cost, turn))
        self.waiting += cost
        return turn

    def leave(self, cost: int, turn: Turn) -> None:
        """Who stood there was cancelled, and leaves here what came for it."""
        if not turn.cancelled() and (decision := turn.result()) and decision.allowed:
            self._held += cost

    def serve(self, now: float) -> None:
        """Answer those in line, up to the first who must wait for more."""
        while self._line:
            cost, turn = self._line[0]
            if not turn.done():  # else it was cancelled
                decision = self.take(cost, now)
                if decision is None:
                    return
                turn.set_result(decision)
            self._line.popleft()
            self.waiting -= cost

    def fail(self) -> None:
        """Tell those in line that there is no answer."""
        line, self._line = self._line, deque()
        self.waiting = 0
        for _, turn in line:
            if not turn.done():
                turn.set_result(None)

    def take(self, cost: int, now: float) -> Decision | None:
        """The answer, if it is known without asking the store."""
        held = self._held if now < self._until - SLACK else 0
        if held >= cost:
            self._held = held = held - cost
            reset_at = self._reset_at
            return Decision(True, held + self._elsewhere, 0.0, reset_at - now if reset_at > now else 0.0)
        if cost >= self._refused and now < self._refused_until - SLACK:
            after = round(self._refused_until - now, 9)
            return Decision(False, held, after, max(0.0, round(self._reset_at - now, 9)))
        return None

    def empty(self) -> int:
        """Give all of it away, to be given back."""
        held, self._held = self._held, 0
        return held
