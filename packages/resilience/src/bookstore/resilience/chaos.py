"""Faults on purpose: what the other policies are for, at a time of your choosing."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.clock import Clock, pause
from bookstore.resilience.errors import fresh
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    Fault: TypeAlias = BaseException | Callable[[], BaseException]
    """An error, its class, or what makes one."""
    Latency: TypeAlias = float | Callable[[], float]
    Switch: TypeAlias = bool | Callable[[], bool]
else:
    Fault = Latency = Switch = (
        Any  # decoders such as msgspec read annotations, and can't express these unions
    )


@dataclass(frozen=True, eq=False)
class Chaos(Policy):
    """Make a share of calls slow, or fail, or both in this order.

    Args:
        rate: the share of calls that are hit.
        fault: what they fail with: an error, its class, or a function that makes one.
        latency: seconds that they take longer, or a function that says.
        enabled: whether any is hit, or a function that says: a switch to turn at runtime.
    """

    rate: float = 0.01
    _: KW_ONLY
    fault: Fault | None = None
    latency: Latency | None = None
    enabled: Switch = True

    place: ClassVar = (90, 90)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.share("rate", self.rate, zero=True)
        checks.require(
            self.fault is not None or self.latency is not None, "fault", "given, or latency", self.fault
        )
        fault = self.fault
        error = issubclass(fault, BaseException) if isinstance(fault, type) else callable(fault)
        known = fault is None or isinstance(fault, BaseException) or error
        checks.require(known, "fault", "an error, its class, or a function", fault)
        if not callable(self.latency) and self.latency is not None:
            checks.seconds("latency", self.latency, zero=True)
        known = isinstance(self.enabled, bool) or callable(self.enabled)
        checks.require(known, "enabled", "true, false, or a function", self.enabled)
        for name in ("fault", "latency", "enabled"):
            checks.plain(name, getattr(self, name))

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Hit some calls on their way to `inner`."""
        clock = self.time(scope)

        async def layer(call: Call) -> Any:
            if self._hits(clock):
                if self.latency is not None:
                    await clock.sleep(self._seconds())
                self._fail()
            return await inner(call)

        return layer

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same for plain functions."""
        clock = self.time(scope)

        def layer(call: Call) -> Any:
            if self._hits(clock):
                if self.latency is not None:
                    pause(clock, self._seconds())
                self._fail()
            return inner(call)

        return layer

    def _hits(self, clock: Clock) -> bool:
        return bool(self.enabled() if callable(self.enabled) else self.enabled) and clock.random() < self.rate

    def _seconds(self) -> float:
        return self.latency() if callable(self.latency) else self.latency or 0.0

    def _fail(self) -> None:
        fault = self.fault
        if fault is None:
            return
        # A fresh one, because an error that is raised many times collects the frames of all.
        raise fresh(fault) if isinstance(fault, BaseException) else fault()
