"""Room that was taken in one go, to be spent here in small change."""

from typing import TYPE_CHECKING

from bookstore.resilience.clock import SLACK
from bookstore.resilience.store import Decision

if TYPE_CHECKING:
    from asyncio import Task


class Pool:
    """What one process holds of one key.

    Never more than one lease, so that what all processes together hold, and could spend at the wrong time, is
    bounded by a lease each; and for no longer than the lease lasts.
    """

    __slots__ = ("_elsewhere", "_held", "_refused", "_refused_until", "_reset_at", "_until", "refill")

    def __init__(self) -> None:
        self._held = 0
        self._until = 0.0
        self._refused = 0  # the cost that there was no room for, nor is
        self._refused_until = 0.0
        self._elsewhere = 0  # what was left in the store when it was last asked
        self._reset_at = 0.0
        self.refill: Task[bool] | None = None

    def held(self, now: float) -> int:
        """What may still be spent from here."""
        return self._held if now < self._until - SLACK else 0

    def at_rest(self, now: float) -> bool:
        """Whether it can be forgotten."""
        return self.refill is None and not self.held(now) and now >= self._refused_until

    def fill(self, now: float, ttl: float, cost: int, units: int, answer: Decision) -> None:
        """Take in what the store has granted, or that it had no room for `cost`."""
        if units:
            self._held = self.held(now) + units
            self._until = now + ttl
        else:
            self._refused = cost
            self._refused_until = now + answer.retry_after
        self._elsewhere = answer.remaining
        self._reset_at = now + answer.reset_after

    def take(self, cost: int, now: float) -> Decision | None:
        """The answer, if it is known without asking the store."""
        held = self.held(now)
        reset_after = round(max(0.0, self._reset_at - now), 9)
        if held >= cost:
            self._held = held - cost
            return Decision(
                allowed=True, remaining=self._held + self._elsewhere, retry_after=0.0, reset_after=reset_after
            )
        if cost >= self._refused and now < self._refused_until - SLACK:
            return Decision(
                allowed=False,
                remaining=held,
                retry_after=round(self._refused_until - now, 9),
                reset_after=reset_after,
            )
        return None

    def empty(self) -> int:
        """Give all of it away, to be given back."""
        held, self._held = self._held, 0
        return held
