"""So many calls in so much time, counted in this process or, with `RedisLimits`, across all of them.

A refused call costs nothing. With `wait`, a call may stand in line: first come, first served, a newcomer
never overtakes, one that is cancelled gives its place to those behind it, and one that would wait too long is
refused at once instead of at the end. The line is bounded by what the quota lets through within `wait`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, overload

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import SLACK, Clock, pause
from bookstore.resilience.errors import RateLimited
from bookstore.resilience.guard import Guard
from bookstore.resilience.policy import Call, Layer, Scope, SyncLayer, reject
from bookstore.resilience.quota import Quota
from bookstore.resilience.store import Decision, Local, LocalDesk, Store

R = TypeVar("R", Decision, Awaitable[Decision])


class Spent:
    """The permit of a rate limit. What is spent is spent, however the call ends."""

    __slots__ = ()

    def ok(self, *, elapsed: float | None = None) -> None:
        """Nothing to learn."""

    def fail(self, error: BaseException | None = None, *, elapsed: float | None = None) -> None:
        """Nothing to learn."""

    def drop(self) -> None:
        """Nothing to give back."""


SPENT = Spent()
KeyOf: TypeAlias = Callable[..., str]


@dataclass(frozen=True, eq=False)
class RateLimit(Guard, Generic[R]):
    """No more than a quota allows.

    Args:
        quota: how much, in which time.
        store: where it's counted: `Local()`, or a `RedisLimits` for all processes together.
        wait: the most seconds that a call waits in line; 0 refuses at once.
        key: what to count by, from the arguments of the call, such as `lambda user, *_: user.id`. Without
            one, all calls count together.
        cost: what a call costs. At most the burst of the quota.
    """

    quota: Quota
    _: KW_ONLY
    store: Store[R] = field(default_factory=Local)  # type: ignore[arg-type] # overloads below tell R
    wait: float = 0.0
    key: KeyOf | None = None
    cost: int = 1

    _desk: Any = field(default=LATER, init=False, repr=False)

    place: ClassVar = (0, 100)

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: "RateLimit[Decision]",
            quota: Quota,
            *,
            store: Local = ...,
            wait: float = ...,
            key: KeyOf | None = ...,
            cost: int = ...,
            name: str = ...,
            clock: Clock | None = ...,
        ) -> None: ...
        @overload
        def __init__(
            self: "RateLimit[Awaitable[Decision]]",
            quota: Quota,
            *,
            store: Store[Awaitable[Decision]],
            wait: float = ...,
            key: KeyOf | None = ...,
            cost: int = ...,
            name: str = ...,
            clock: Clock | None = ...,
        ) -> None: ...
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.kind("quota", self.quota, Quota)
        checks.methods("store", self.store, "a Local or a RedisLimits", "open")
        checks.seconds("wait", self.wait, zero=True)
        checks.function("key", self.key)
        self.quota.check(self.cost)
        assign(self, _desk=self.store.open(self.quota, self.name, self.clock))

    def join(self, scope: Scope) -> None:
        """Take the clock of the pipeline, unless one was given."""
        self._desk.join(scope)

    def try_acquire(self, key: str = "", cost: int = 1) -> R:
        """Ask for room now, without waiting: a `Decision`, to be awaited when the store is Redis.

        Raises:
            ValueError: the cost is more than the quota could ever grant.
        """
        self.quota.check(cost)
        decision: R = self._desk.take(key, cost)
        return decision

    def decide_now(self, key: str = "", cost: int = 1) -> Decision | None:
        """The decision if it needs no waiting, as a leased one doesn't; else `None`, and nothing is spent.

        For code that isn't a coroutine: whoever gets `None` asks again with `decide`.
        """
        self.quota.check(cost)
        decision: Decision | None = self._desk.take_now(key, cost)
        return decision

    async def decide(self, key: str = "", cost: int = 1) -> Decision:
        """As `try_acquire`, whatever the store."""
        decision = self.try_acquire(key, cost)
        return decision if isinstance(decision, Decision) else await decision

    def acquire(self) -> Spent:
        """Take room now, or raise `RateLimited`."""
        if not isinstance(self._desk, LocalDesk):
            msg = f"{self.label}: this store must be awaited: use async with, or try_acquire"
            raise TypeError(msg)
        decision = self._desk.take("", self.cost)
        if not decision.allowed:
            raise RateLimited(self.label, decision.retry_after)
        return SPENT

    async def admit(self) -> Spent:
        """Take room, waiting in line where the limit allows waiting, or raise `RateLimited`."""
        decision = await self._desk.enter("", self.cost, self.wait)
        if not decision.allowed:
            raise RateLimited(self.label, decision.retry_after)
        return SPENT

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Wrap `inner`: only what the quota allows gets through."""
        desk, cost, wait, key_of = self._desk, self.cost, self.wait, self.key

        async def layer(call: Call) -> Any:
            key = "" if key_of is None else key_of(*call.args, **call.kwargs)
            decision = await desk.enter(key, cost, wait)
            if not decision.allowed:
                refusal = RateLimited(self.label, decision.retry_after)
                raise reject(scope, self.label, refusal, call.attempt)
            return await inner(call)

        if not isinstance(desk, LocalDesk):
            return layer

        line, reserve = desk.line, desk.meter.reserve

        # The same, without a coroutine for an answer that is known at once.
        async def local(call: Call) -> Any:
            key = "" if key_of is None else key_of(*call.args, **call.kwargs)
            delay = reserve(key, cost, line.clock.now(), wait)
            if delay:
                if delay > wait + SLACK:
                    raise reject(scope, self.label, RateLimited(self.label, delay), call.attempt)
                await line.stand(key, cost, delay)
            return await inner(call)

        return local

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same for plain functions. Waiting blocks the thread."""
        if not isinstance(self._desk, LocalDesk):
            return super().sync_layer(inner, scope)
        cost, wait, desk = self.cost, self.wait, self._desk

        def layer(call: Call) -> Any:
            key = "" if self.key is None else self.key(*call.args, **call.kwargs)
            with desk.lock:
                delay = desk.meter.reserve(key, cost, desk.line.clock.now(), wait)
            if delay > wait + SLACK:
                raise reject(scope, self.label, RateLimited(self.label, delay), call.attempt)
            if delay:
                pause(desk.line.clock, delay)
            return inner(call)

        return layer
