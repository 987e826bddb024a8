"""An old answer rather than none."""

from asyncio import Task, create_task
from collections import OrderedDict
from collections.abc import Callable, Hashable, MutableMapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import SLACK, Clock
from bookstore.resilience.deadline import forget_deadline
from bookstore.resilience.keys import KeyOf, key_of
from bookstore.resilience.outcome import Classify, Matcher, Outcome, failed, matcher, verdict_of
from bookstore.resilience.policy import Call, Layer, Policy, Scope
from bookstore.resilience.tasks import discard

ENTRIES: Final = 1024
"""How many answers are kept where no `store` is given. The one that was asked for longest ago goes first."""


class Kept(NamedTuple):
    """An answer, and when it was given."""

    value: Any
    at: float


Answers: TypeAlias = MutableMapping[Hashable, Kept]


class Recent(OrderedDict[Hashable, Kept]):
    """The answers that were used last."""

    def get(self, key: Hashable, default: Any = None) -> Any:
        """Look one up, and count that as use."""
        if key in self:
            self.move_to_end(key)
        return super().get(key, default)

    def __setitem__(self, key: Hashable, kept: Kept) -> None:
        super().__setitem__(key, kept)
        self.move_to_end(key)
        if len(self) > ENTRIES:
            self.popitem(last=False)


@dataclass(frozen=True, eq=False)
class Stale(Policy):
    """Keep good answers: give them again while fresh, and when the call fails, for some time after.

    An answer that is no longer fresh is told as an event of kind `stale`, with its `age`.

    Args:
        fresh: seconds for which an answer is given again without a call. 0 always calls.
        stale: seconds after that in which it stands in for a failure. 0 never does, where answers are given
            again while fresh.
        key: what makes calls the same, from their arguments; by default the function and all arguments.
        store: a mapping to keep answers in; by default the last 1024 used, in this process.
        on: errors that an old answer stands in for. By default every failure, but no `Rejected`: name
            `(Exception, CircuitOpen)` to have it stand in for an open circuit as well.
        classify: your own judge: only values that are `"ok"` are kept, and those that `"fail"` are replaced.
        revalidate: give the old answer at once, and refresh it meanwhile, once for all who ask.
    """

    _: KW_ONLY
    fresh: float
    stale: float
    key: KeyOf | None = None
    store: Any = None
    on: Matcher | None = None
    classify: Classify | None = None
    revalidate: bool = False

    _answers: Answers = field(default=LATER, init=False, repr=False, compare=False)
    _matches: Callable[[BaseException], bool] = field(default=LATER, init=False, repr=False, compare=False)
    _refreshing: dict[Hashable, Task[None]] = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar = (10, 10)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.seconds("fresh", self.fresh, zero=True)
        checks.seconds("stale", self.stale, zero=not (self.fresh == 0 or self.revalidate))
        checks.function("key", self.key)
        if self.store is not None:
            checks.methods("store", self.store, "a mapping", "get", "__setitem__")
        checks.function("classify", self.classify)
        checks.kind("revalidate", self.revalidate, bool)
        answers: Answers = Recent() if self.store is None else self.store
        assign(self, _answers=answers, _matches=matcher(self.on), _refreshing={})

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Keep what `inner` gives."""
        clock = self.time(scope)

        async def layer(call: Call) -> Any:
            key = key_of(self.key, call, self.label)
            kept = self._answers.get(key)
            if kept is not None:
                age = clock.now() - kept.at
                if age < self.fresh - SLACK:
                    return kept.value
                if self.revalidate and age < self.fresh + self.stale - SLACK:
                    if key not in self._refreshing:
                        self._refreshing[key] = create_task(self._refresh(inner, call, key, clock))
                    return self._serve(kept, age, call, scope)
            try:
                value = await inner(call)
            except BaseException as error:
                outcome = Outcome[Any](None, error, attempt=call.attempt)
                old = self._old(key, clock) if failed(outcome, self._matches, self.classify) else None
                if old is None:
                    raise
                return self._serve(*old, call, scope)
            return await self._take(value, key, call, clock, scope)

        return layer

    async def _take(self, value: Any, key: Hashable, call: Call, clock: Clock, scope: Scope) -> Any:
        verdict = verdict_of(Outcome(value, attempt=call.attempt), self.classify)
        if verdict == "ok":
            self._answers[key] = Kept(value, clock.now())
        old = self._old(key, clock) if verdict == "fail" else None
        if old is None:
            return value
        await discard(value)
        return self._serve(*old, call, scope)

    async def _refresh(self, inner: Layer, call: Call, key: Hashable, clock: Clock) -> None:
        forget_deadline()  # the caller's, who has gone with the old answer
        try:
            with suppress(Exception):  # the old answer is still there, and its time still runs
                value = await inner(call)
                if verdict_of(Outcome(value, attempt=call.attempt), self.classify) == "ok":
                    self._answers[key] = Kept(value, clock.now())
        finally:
            del self._refreshing[key]

    def _old(self, key: Hashable, clock: Clock) -> tuple[Kept, float] | None:
        kept = self._answers.get(key)
        if kept is None:
            return None
        age = clock.now() - kept.at
        return (kept, age) if age < self.fresh + self.stale - SLACK else None

    def _serve(self, kept: Kept, age: float, call: Call, scope: Scope) -> Any:
        scope.emit("stale", self.label, attempt=call.attempt, detail={"age": round(age, 9)})
        return kept.value
