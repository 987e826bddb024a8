"""What happened, told to whoever listens.

A sink is any callable that takes an `Event`. It runs in the middle of the call, so it must be quick and must
not block; when it raises, the call goes on as if it had not, and the pipeline counts it in `sink_errors`.
"""

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from bookstore.resilience.outcome import Verdict

Kind: TypeAlias = Literal[
    "attempt",
    "retry",
    "rejected",
    "transition",
    "timeout",
    "hedge",
    "fallback",
    "stale",
    "coalesced",
    "ejected",
    "returned",
    "budget_exhausted",
    "degraded",
    "call",
]

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Event(NamedTuple):
    """One thing that happened.

    Attributes:
        kind: what happened. Each call of a pipeline ends with exactly one `call`.
        policy: the label of the policy that tells it: its `name`, else its kind. `"pipeline"` for `call`.
        name: the name of the pipeline, or of a policy that works alone. Safe as a metric label: it comes from
            you.
        attempt: which try, from 1.
        elapsed: seconds that the thing took, 0 where nothing was measured.
        verdict: `ok`, `fail` or `ignore`, where there is one.
        detail: a few more fields that depend on the kind, such as `{"from": "closed", "to": "open"}`.
    """

    kind: Kind
    policy: str
    name: str
    attempt: int = 1
    elapsed: float = 0.0
    verdict: Verdict | None = None
    detail: Mapping[str, Any] = NOTHING


Sink: TypeAlias = Callable[[Event], object]


class Sinks:
    """The listeners of one pipeline, and the count of their failures."""

    __slots__ = ("errors", "listeners")

    def __init__(self, listeners: tuple[Sink, ...] = ()) -> None:
        self.listeners = listeners
        self.errors = 0

    def __bool__(self) -> bool:
        """Whether an event is worth building."""
        return bool(self.listeners)

    def send(self, event: Event) -> None:
        """Tell every listener, whatever the one before it did."""
        for listener in self.listeners:
            try:
                listener(event)
            except (Exception, CancelledError):  # noqa: BLE001 - telemetry that fails must not fail the call
                self.errors += 1
