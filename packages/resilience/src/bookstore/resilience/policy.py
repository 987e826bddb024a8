"""What every policy is: settings, and a layer around the next thing in.

A policy is a frozen dataclass of settings. What changes over time lives in a plain core object that the
policy makes in `__post_init__`: it is fed with `now`, awaits nothing and therefore needs no lock under
asyncio.

A pipeline calls `join` once, to hand down its clock and its sinks, and `layer` once, to get the coroutine
function that wraps the next layer. Nothing is built per call but the `Call` that travels through all layers.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.errors import Rejected
from bookstore.resilience.events import NOTHING, Event, Kind, Sinks
from bookstore.resilience.outcome import Verdict


class Call:
    """One call on its way through the layers. `attempt` is the try that runs now, from 1."""

    __slots__ = ("args", "attempt", "fn", "kwargs")

    paid: object = None
    """The budget that an outer policy has counted this call in already."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], attempt: int = 1
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.attempt = attempt

    def fork(self, attempt: int, paid: object = None) -> "Call":
        """The same call for a try that runs beside this one, as hedges do."""
        fork = Fork(self.fn, self.args, self.kwargs, attempt)
        fork.paid = paid
        return fork


class Fork(Call):
    """One of several tries of a call."""

    __slots__ = ("paid",)


Layer: TypeAlias = Callable[[Call], Coroutine[Any, Any, Any]]
SyncLayer: TypeAlias = Callable[[Call], Any]


class Scope:
    """What a pipeline gives to its policies: its name, its clock, and a way to tell what happens.

    `listening` is false when nobody listens: a hot path asks it before it measures or builds anything for
    `emit`.
    """

    __slots__ = ("clock", "listening", "name", "sinks")

    def __init__(self, name: str = "", clock: Clock = SYSTEM, sinks: Sinks | None = None) -> None:
        self.name = name
        self.clock = clock
        self.sinks = Sinks() if sinks is None else sinks
        self.listening = bool(self.sinks)

    def emit(
        self,
        kind: Kind,
        policy: str,
        *,
        attempt: int = 1,
        elapsed: float = 0.0,
        verdict: Verdict | None = None,
        detail: Mapping[str, Any] = NOTHING,
    ) -> None:
        """Tell the sinks, if there are any."""
        if self.listening:
            self.sinks.send(Event(kind, policy, self.name, attempt, elapsed, verdict, detail))


@dataclass(frozen=True, eq=False, kw_only=True)
class Policy(ABC):
    """A layer of a pipeline.

    Class attributes:
        kind: the noun in snake case; set from the class name.
        place: the outermost and the innermost place where it makes sense, from 0 (outside) to 100; a pipeline
            warns when it finds one outside of another that belongs further out.
        adaptable: whether it can take new settings and keep its state, when a `Registry` is loaded again.
    """

    name: str = ""
    """Stands for the kind in events and errors where a pipeline has two of one kind."""
    clock: Clock | None = field(default=None, repr=False, compare=False)
    """Where time comes from. A pipeline hands its own down to policies that name none."""

    kind: ClassVar[str] = "policy"
    place: ClassVar[tuple[int, int]] = (0, 100)
    adaptable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.text("name", self.name)
        checks.clock(self.clock)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def label(self) -> str:
        """What events and errors call it: the name, else the kind."""
        return self.name or self.kind

    def time(self, scope: Scope) -> Clock:
        """The clock to use inside this scope: the policy's own, else the pipeline's."""
        return self.clock or scope.clock

    def adapt(self, new: "Policy") -> None:  # noqa: ARG002 - part of the interface
        """Take over the settings of another policy of this kind, and keep the state. Needs `adaptable`."""
        msg = f"{self.kind} can't take over settings while it runs"
        raise TypeError(msg)

    def join(self, scope: Scope) -> None:  # noqa: B027 - most have no state
        """Become part of a pipeline. Policies with state take its clock here, unless they were given one."""

    @abstractmethod
    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Wrap `inner`. Called once, when the pipeline is built."""

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:  # noqa: ARG002 - part of the interface
        """Wrap `inner` of a plain function. Policies that need a running loop refuse, at decoration."""
        msg = f"{self.kind} needs a running loop: it can't guard a plain function"
        raise TypeError(msg)


def reject(scope: Scope, policy: str, error: Rejected, attempt: int) -> Rejected:
    """Tell the sinks about a refusal, and give it back to be raised."""
    if scope.listening:
        detail = {"retry_after": error.retry_after, "error": type(error).__name__}
        scope.emit("rejected", policy, attempt=attempt, verdict="ignore", detail=detail)
    return error
