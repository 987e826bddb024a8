"""Targets that fail while others don't are left alone for a while.

The rules are Envoy's: so many failures in a row eject a target, each further time for longer, and time in
good health shortens the next. The last target is never ejected, an ejection ends by the clock whether or not
anybody probes, and when too large a share is out the fault is elsewhere: then all are used.
"""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Generic, TypeVar

from bookstore.resilience.clock import SLACK
from bookstore.resilience.events import Kind
from bookstore.resilience.outliers import Outliers


class Health:
    """How one target has been doing. A new generation begins with each ejection and each return."""

    __slots__ = ("generation", "growth", "healthy_since", "streak", "until")

    def __init__(self) -> None:
        self.generation = 0
        self.growth = 0  # how many times `base` the last ejection lasted
        self.healthy_since = 0.0
        self.streak = 0
        self.until: float | None = None  # ejected until then

    def forgive(self) -> None:
        """It is back, and has paid for what it did."""


H = TypeVar("H", bound=Health)


class Ejector(Generic[H]):
    """Decides who is out. `rules` of `None` eject nobody."""

    __slots__ = ("_members", "_next", "_out", "_tell", "_usable", "rules")

    def __init__(self, rules: Outliers | None, members: Sequence[H], tell: Callable[[Kind, H], None]) -> None:
        self.rules = rules
        self._tell = tell
        self.replace(members)

    def replace(self, members: Sequence[H]) -> None:
        """Judge these from now on. Those that were out stay out."""
        self._members = members
        self._settle()

    @property
    def out(self) -> Sequence[H]:
        """Who is ejected, as of the last look."""
        return self._out

    def usable(self, now: float) -> Sequence[H]:
        """Who may be picked. Never empty."""
        if now >= self._next - SLACK:
            self._bring_back(now)
        return self._usable

    def ok(self, member: H, generation: int) -> None:
        """A call to it succeeded."""
        if generation == member.generation:
            member.streak = 0

    def fail(self, member: H, generation: int, now: float) -> None:
        """A call to it failed. Calls begun before it was ejected, or while it is, tell nothing new."""
        rules = self.rules
        if rules is None or generation != member.generation or member.until is not None:
            return
        member.streak += 1
        if member.streak >= rules.consecutive:
            member.streak = 0
            self._bring_back(now)
            if len(self._out) < self._most(rules):
                self._eject(rules, member, now)

    def _most(self, rules: Outliers) -> int:
        count = len(self._members)
        return min(count - 1, max(1, int(count * rules.max_share + SLACK))) if rules.max_share else 0

    def _eject(self, rules: Outliers, member: H, now: float) -> None:
        rested = int((now - member.healthy_since + SLACK) / rules.interval)
        growth = max(0, member.growth - rested) + 1
        span = min(rules.base * growth, rules.cap)
        member.growth = min(growth, ceil(rules.cap / rules.base))  # or rest would first undo what the cap hid
        member.until = now + span
        member.generation += 1
        self._settle()
        self._tell("ejected", member)

    def _bring_back(self, now: float) -> None:
        back = [member for member in self._out if member.until is not None and member.until <= now + SLACK]
        for member in back:
            member.healthy_since = member.until or now
            member.until = None
            member.generation += 1
            member.forgive()
        self._settle()
        for member in back:
            self._tell("returned", member)

    def _settle(self) -> None:
        out = [member for member in self._members if member.until is not None]
        panic = self.rules is None or len(out) > self.rules.panic * len(self._members) + SLACK
        self._out: Sequence[H] = out
        self._usable: Sequence[H] = (
            self._members
            if panic or not out
            else [member for member in self._members if member.until is None]
        )
        self._next = min((member.until for member in out if member.until is not None), default=float("inf"))
