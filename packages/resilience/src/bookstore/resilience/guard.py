"""Policies that decide before the call and learn after it.

A guard hands out a `Permit`, which is settled exactly once with `ok`, `fail` or `drop`, whatever happens to
the call, a cancellation at any await included.
"""

from abc import abstractmethod
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from bookstore.resilience.outcome import Classify, Outcome, Verdict, verdict_of
from bookstore.resilience.policy import Policy


class Permit(Protocol):
    """Leave to call, to be settled exactly once; settling it again does nothing."""

    def ok(self, *, elapsed: float | None = None) -> None:
        """The call succeeded. `elapsed` stands in for the time since the permit was given."""

    def fail(self, error: BaseException | None = None, *, elapsed: float | None = None) -> None:
        """The call failed."""

    def drop(self) -> None:
        """The call was cancelled or doesn't count: give the permit back and learn nothing."""


_Held: TypeAlias = tuple["Policy", Any, "_Held | None"]
_held: ContextVar[_Held | None] = ContextVar("held", default=None)


def hold(policy: "Policy", permit: object) -> None:
    """Remember what `async with` took, for this task alone: one object serves any number of tasks."""
    _held.set((policy, permit, _held.get()))


def release(policy: "Policy") -> Any:
    """Take back what this task remembered last for this policy."""
    top = _held.get()
    if top is None or top[0] is not policy:
        msg = f"{policy.kind}: left in another task than it was entered, or in another order"
        raise RuntimeError(msg)
    _held.set(top[2])
    return top[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Guard(Policy):
    """A policy that can also stand alone, as `async with guard:`, or `with guard:` where it never waits."""

    async def admit(self) -> Permit:
        """Take a permit, waiting for it where the policy allows waiting. Raises a `Rejected`."""
        return self.acquire()

    @abstractmethod
    def acquire(self) -> Permit:
        """Take a permit now, or raise a `Rejected`."""

    def verdict(self, permit: Any, error: BaseException | None) -> Verdict:  # noqa: ARG002 - some measure by it
        """What the end of an `async with` block means."""
        classify: Classify | None = getattr(self, "classify", None)
        return verdict_of(Outcome(error=error), classify)

    async def __aenter__(self) -> Self:
        hold(self, await self.admit())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __enter__(self) -> Self:
        hold(self, self.acquire())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        permit: Permit = release(self)
        try:
            verdict = self.verdict(permit, error)
        except BaseException:
            permit.drop()  # a judge that fails must not keep the permit
            raise
        settle(permit, verdict, error)


def settle(permit: Permit, verdict: Verdict, error: BaseException | None) -> None:
    """Settle a permit by a verdict."""
    if verdict == "ok":
        permit.ok()
    elif verdict == "fail":
        permit.fail(error)
    else:
        permit.drop()
