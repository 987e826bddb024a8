"""One limit for the whole call, over all tries and all hops.

What travels to the next service is how much time is left, in whole milliseconds, never an instant: clocks of
two machines differ, and none of them may lengthen the time that the first caller gave.
"""

import re
from asyncio import current_task
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import KW_ONLY, dataclass, replace
from math import isfinite
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from bookstore.resilience import checks
from bookstore.resilience.clock import SLACK, SYSTEM, Clock
from bookstore.resilience.cutoff import Cutoff, rest
from bookstore.resilience.errors import DeadlineExceeded
from bookstore.resilience.guard import hold, release
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer, reject

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Running:
    """A deadline that has begun."""

    __slots__ = ("clock", "header", "until")

    def __init__(self, clock: Clock, until: float, header: str) -> None:
        self.clock = clock
        self.until = until
        self.header = header

    def remaining(self) -> float:
        """Seconds left; 0 when it is over."""
        return max(0.0, round(self.until - self.clock.now(), 9))

    def outgoing_headers(self) -> dict[str, str]:
        """What to send with a request, so that the next service works no longer than anybody waits."""
        return {self.header: str(int(self.remaining() * 1000 + SLACK))}


_current: ContextVar[Running | None] = ContextVar("deadline", default=None)


def current_deadline() -> Running | None:
    """The deadline that this task works under."""
    return _current.get()


def forget_deadline() -> None:
    """Work on without the caller's deadline: for what outlives the caller, as a shared flight does."""
    _current.set(None)


def outgoing_headers() -> dict[str, str]:
    """The headers that pass the current deadline on: none where there is no deadline."""
    running = _current.get()
    return {} if running is None else running.outgoing_headers()


def _in_task() -> bool:
    try:
        return current_task() is not None
    except RuntimeError:  # no loop runs in this thread
        return False


@dataclass(frozen=True, eq=False)
class Deadline(Policy):
    """Let the whole call take `seconds`, and never more than the caller has left.

    Work that is under way at the deadline is cancelled, and `DeadlineExceeded` raised; when the time is over
    on arrival nothing is begun. `Retry` doesn't begin a wait that would not end in time.

    `with Deadline(0.3):` and `async with` do the same for a block.

    Args:
        seconds: for the whole call.
        header: carries the milliseconds that are left to the next service.
    """

    seconds: float
    _: KW_ONLY
    header: str = "x-deadline-ms"

    place: ClassVar[tuple[int, int]] = (0, 30)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.seconds("seconds", self.seconds)
        named = isinstance(self.header, str) and _TOKEN.fullmatch(self.header)  # pyright: ignore[reportUnnecessaryIsInstance] - files
        checks.require(bool(named), "header", "the name of a header", self.header)

    def arriving(self, headers: Mapping[str, str]) -> Self:
        """This deadline for one request: shorter where the caller sent that it has less left.

        Raises `DeadlineExceeded` when the caller has nothing left. A header that is no number is as good as
        none.
        """
        sent = next((value for key, value in headers.items() if key.lower() == self.header.lower()), "")
        try:
            left = float(sent) / 1000
        except ValueError:
            return self
        if left <= 0:
            raise DeadlineExceeded(self.label)
        return replace(self, seconds=min(self.seconds, left)) if isfinite(left) else self

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Begin the deadline with each call."""
        clock = self.time(scope)

        async def layer(call: Call) -> Any:
            outer = _current.get()
            running = self._begin(clock, outer)
            if running is None:
                raise reject(scope, self.label, DeadlineExceeded(self.label), call.attempt)
            _current.set(running)
            cutoff = None
            try:
                work = inner(call)
                try:
                    waits_for = work.send(None)
                except StopIteration as done:
                    return done.value
                cutoff = Cutoff(clock, running.until)
                value = await rest(work, waits_for)
            except BaseException as error:
                if cutoff is None or not cutoff.lift(error):
                    raise
                scope.emit(
                    "timeout", self.label, attempt=call.attempt, elapsed=self.seconds, verdict="ignore"
                )
                raise DeadlineExceeded(self.label) from error
            finally:
                _current.set(outer)
            cutoff.lift(None)
            return value

        return layer

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same for a plain function, which can't be cut off, but isn't begun or repeated too late."""
        clock = self.time(scope)

        def layer(call: Call) -> Any:
            outer = _current.get()
            running = self._begin(clock, outer)
            if running is None:
                raise reject(scope, self.label, DeadlineExceeded(self.label), call.attempt)
            _current.set(running)
            try:
                return inner(call)
            finally:
                _current.set(outer)

        return layer

    def _begin(self, clock: Clock, outer: Running | None) -> Running | None:
        seconds = self.seconds if outer is None else min(self.seconds, outer.remaining())
        return Running(clock, clock.now() + seconds, self.header) if seconds > 0 else None

    def __enter__(self) -> Self:
        clock, outer = self.clock or SYSTEM, _current.get()
        running = self._begin(clock, outer)
        if running is None:
            raise DeadlineExceeded(self.label)
        hold(self, (outer, Cutoff(clock, running.until) if _in_task() else None))
        _current.set(running)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outer, cutoff = release(self)
        _current.set(outer)
        if cutoff is not None and cutoff.lift(error):
            raise DeadlineExceeded(self.label) from error

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
