"""A bulkhead that finds its own size."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.errors import BulkheadFull
from bookstore.resilience.guard import Guard, settle
from bookstore.resilience.limits import Gradient2, Limit
from bookstore.resilience.outcome import Classify, Outcome, Verdict, verdict_of
from bookstore.resilience.policy import Call, Layer, Scope, reject
from bookstore.resilience.slots import Slots

if TYPE_CHECKING:
    Learner: TypeAlias = Limit
else:
    Learner = Any  # or its plain settings, which decoders leave to `Limit.parse`


class AdaptivePermit:
    """A place. What becomes of the call moves the limit."""

    __slots__ = ("_adaptive", "_inflight", "started")

    def __init__(self, adaptive: "Adaptive", inflight: int, started: float) -> None:
        self._adaptive: Adaptive | None = adaptive
        self._inflight = inflight
        self.started = started

    def ok(self, *, elapsed: float | None = None) -> None:
        """The call succeeded. `elapsed` stands in for the time since the permit was given."""
        self._settle("ok", elapsed)

    def fail(self, error: BaseException | None = None, *, elapsed: float | None = None) -> None:  # noqa: ARG002
        """The call failed."""
        self._settle("fail", elapsed)

    def drop(self) -> None:
        """The call was cancelled or doesn't count."""
        self._settle("ignore", None)

    def _settle(self, verdict: Verdict, elapsed: float | None) -> None:
        adaptive, self._adaptive = self._adaptive, None
        if adaptive is not None:
            adaptive.leave(verdict, self._inflight, self.started, elapsed)


@dataclass(frozen=True, eq=False)
class Adaptive(Guard):
    """At most so many calls at a time as the dependency proves to take; others wait in line, or are refused.

    It serves a client, and as well a server that sheds what it can't do in time.

    Args:
        limit: how it's found: a `Gradient2`, `Vegas` or `AIMD`. In TOML or JSON, its settings and `kind`.
        queue: how many may wait.
        wait: seconds that one may wait. By default as long as it takes, which a `Deadline` ends.
        share: how much of the limit a call may fill, from its arguments: 1 for what matters, less for what is
            shed first. Such a call never waits for more than its share.
        classify: your own judge of what is a failure.
    """

    limit: Learner = field(default_factory=Gradient2)
    _: KW_ONLY
    queue: int = 0
    wait: float | None = None
    share: Callable[..., float] | None = None
    classify: Classify | None = None

    _slots: Slots = field(default=LATER, init=False, repr=False, compare=False)
    _clock: Clock = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar = (70, 70)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("queue", self.queue, least=0)
        if self.wait is not None:
            checks.seconds("wait", self.wait, zero=True)
        checks.function("share", self.share)
        checks.function("classify", self.classify)
        assign(self, limit=Limit.parse(self.limit), _clock=self.clock or SYSTEM)
        assign(self, _slots=Slots(self.limit.limit, self.queue))

    @property
    def in_flight(self) -> int:
        """How many calls run."""
        return self._slots.in_flight

    @property
    def waiting(self) -> int:
        """How many calls stand in line."""
        return self._slots.waiting

    def acquire(self) -> AdaptivePermit:
        """Take a place now, or raise `BulkheadFull`."""
        if not self._slots.take():
            raise BulkheadFull(self.label)
        return AdaptivePermit(self, self._slots.in_flight, self._clock.now())

    async def admit(self) -> AdaptivePermit:
        """Take a place, waiting for it as the settings allow."""
        if not await self._slots.wait(self._clock, self.wait):
            raise BulkheadFull(self.label)
        return AdaptivePermit(self, self._slots.in_flight, self._clock.now())

    def leave(self, verdict: Verdict, inflight: int, started: float, elapsed: float | None = None) -> None:
        """Give a place back, and learn from it."""
        slots = self._slots
        rtt = self._clock.now() - started if elapsed is None else elapsed
        self.limit.sample(rtt, inflight, verdict)
        slots.in_flight -= 1
        slots.resize(self.limit.limit)  # which lets in who fits now

    def join(self, scope: Scope) -> None:
        """Take the pipeline's clock."""
        assign(self, _clock=self.time(scope))

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Hold a place for as long as the call runs."""
        slots, clock, share, conclude = self._slots, self._clock, self.share, self._conclude

        async def layer(call: Call) -> Any:
            fits = share is None or slots.in_flight < share(*call.args, **call.kwargs) * slots.limit
            if not fits or not (slots.take() or await slots.wait(clock, self.wait)):
                raise reject(scope, self.label, BulkheadFull(self.label), call.attempt)
            permit = AdaptivePermit(self, slots.in_flight, clock.now())
            try:
                value = await inner(call)
            except BaseException as error:
                conclude(permit, call, None, error)
                raise
            conclude(permit, call, value, None)
            return value

        return layer

    def _conclude(self, permit: AdaptivePermit, call: Call, value: Any, error: BaseException | None) -> None:
        elapsed = self._clock.now() - permit.started
        try:
            verdict = verdict_of(Outcome(value, error, elapsed, call.attempt), self.classify)
        except BaseException:
            permit.drop()  # a judge that fails must not keep the place
            raise
        settle(permit, verdict, error)
