"""Policies in a row around a call.

The first policy named is the outermost. The row is linked once, when the pipeline is built: a call then costs
one coroutine a layer and one small `Call` object, nothing else.
"""

import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial, wraps
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction, isgeneratorfunction
from itertools import combinations
from types import CoroutineType
from typing import Any, ParamSpec, TypeVar, overload

from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.events import Sink, Sinks
from bookstore.resilience.outcome import judge
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer

_COROUTINE: Any = CoroutineType  # compared with, far quicker than `isawaitable`

P = ParamSpec("P")
T = TypeVar("T")


class MisorderWarning(UserWarning):
    """Two policies of a pipeline stand the wrong way round."""


class Pipeline:
    """Policies around a call, the first named outermost.

    ```python
    books = Pipeline("books", Retry(attempts=3), Breaker(), Timeout(0.4))


    @books
    async def book(isbn: str) -> Book: ...


    price = await books.call(fetch_price, isbn)
    ```

    Args:
        name: what events call it; a good metric label.
        policies: from the outside in.
        clock: handed down to every policy that names none.
        sinks: callables that get every `Event`. One that raises alters no call and is counted in
            `sink_errors`.
    """

    __slots__ = ("_run", "_scope", "_sync", "name", "policies")

    def __init__(
        self, name: str, *policies: Policy, clock: Clock | None = None, sinks: Iterable[Sink] = ()
    ) -> None:
        self.name = name
        self.policies: tuple[Policy, ...] = ()
        self._run: Layer = _leaf
        self._scope = Scope(name, clock or SYSTEM, Sinks(tuple(sinks)))
        self._sync: SyncLayer | None = None  # linked when the first plain function is decorated
        self.prepare(*policies)()

    @property
    def clock(self) -> Clock:
        """Where this pipeline's time comes from."""
        return self._scope.clock

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Who is told what happens."""
        return self._scope.sinks.listeners

    @property
    def sink_errors(self) -> int:
        """How often a sink raised."""
        return self._scope.sinks.errors

    def replace(self, *policies: Policy) -> None:
        """Use these policies from the next call on. Calls under way end with those that they began with."""
        self.prepare(*policies)()

    def prepare(self, *policies: Policy) -> Callable[[], None]:
        """Do all of `replace` that can fail, and give back the rest: several can so change at once."""
        for policy in policies:
            if not isinstance(policy, Policy):  # pyright: ignore[reportUnnecessaryIsInstance] - a class, as a rule
                msg = f"{self.name}: {policy!r} is no policy"
                raise TypeError(msg)
        _warn_of_misorder(policies)
        run = _link(policies, self._scope)
        sync = None if self._sync is None else _link_sync(policies, self._scope)

        def commit() -> None:
            self.policies, self._run, self._sync = policies, run, sync

        return commit

    async def call(self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn` through the policies, undecorated.

        A plain function works as well, on the loop's thread; its type is left out, as mypy can't tell the two
        apart.
        """
        value: T = await self._run(Call(fn, args, kwargs))
        return value

    @overload
    def __call__(self, fn: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]: ...
    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function, method, partial or callable object, `async` or not."""
        target = _target(fn)
        if isasyncgenfunction(target) or isgeneratorfunction(target):
            msg = f"{self.name}: a generator can't be retried or timed as one call; decorate what consumes it"
            raise TypeError(msg)
        if not iscoroutinefunction(target):
            return self._guard_plain(fn)

        @wraps(fn)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            return await self._run(Call(fn, args, kwargs))  # looked up each time: `replace` may change it

        return guarded

    def _guard_plain(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        if self._sync is None:
            self._sync = _link_sync(self.policies, self._scope)

        @wraps(fn)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            assert self._sync is not None  # noqa: S101 - linked above, and `replace` links it anew
            return self._sync(Call(fn, args, kwargs))

        return guarded

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, {', '.join(map(repr, self.policies))})"


def _link(policies: tuple[Policy, ...], scope: Scope) -> Layer:
    layer: Layer = _leaf
    for policy in reversed(policies):
        policy.join(scope)
        layer = policy.layer(layer, scope)
    return _observed(layer, scope) if scope.listening else layer


def _link_sync(policies: tuple[Policy, ...], scope: Scope) -> SyncLayer:
    layer: SyncLayer = _sync_leaf
    for policy in reversed(policies):
        layer = policy.sync_layer(layer, scope)
    return _sync_observed(layer, scope) if scope.listening else layer


def _leaf(call: Call) -> Coroutine[Any, Any, Any]:
    answer: Any = call.fn(*call.args, **call.kwargs) if call.kwargs else call.fn(*call.args)
    return answer if type(answer) is _COROUTINE else _awaited(answer)


async def _awaited(answer: Any) -> Any:
    """What `fn` gave, as a coroutine: something else to await, or the value itself."""
    return await answer if isawaitable(answer) else answer


def _sync_leaf(call: Call) -> Any:
    answer = call.fn(*call.args, **call.kwargs)
    if type(answer) is _COROUTINE:
        answer.close()
        msg = f"{call.fn!r} returned a coroutine: declare it with async def, or use Pipeline.call"
        raise TypeError(msg)
    return answer


def _observed(inner: Layer, scope: Scope) -> Layer:
    """Tell, once per call, how it ended."""

    async def layer(call: Call) -> Any:
        started = scope.clock.now()
        failure: BaseException | None = None
        try:
            return await inner(call)
        except BaseException as error:
            failure = error
            raise
        finally:
            _tell(scope, call, started, failure)
            failure = None  # a frame that holds its own exception is a reference cycle

    return layer


def _sync_observed(inner: SyncLayer, scope: Scope) -> SyncLayer:
    def layer(call: Call) -> Any:
        started = scope.clock.now()
        failure: BaseException | None = None
        try:
            return inner(call)
        except BaseException as error:
            failure = error
            raise
        finally:
            _tell(scope, call, started, failure)
            failure = None  # as above

    return layer


def _tell(scope: Scope, call: Call, started: float, error: BaseException | None) -> None:
    elapsed = scope.clock.now() - started
    scope.emit("call", "pipeline", attempt=call.attempt, elapsed=elapsed, verdict=judge(error))


def _target(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose `def` tells whether calling `fn` gives something to await."""
    while isinstance(fn, partial):
        fn = fn.func
    return fn if hasattr(fn, "__code__") or isinstance(fn, type) else getattr(fn, "__call__", fn)  # noqa: B004


def misorders(policies: Iterable[Policy]) -> Iterator[str]:
    """What stands the wrong way round, a sentence a pair."""
    for outer, inner in combinations(policies, 2):
        if outer.place[0] > inner.place[1]:
            yield f"{outer.label} stands outside {inner.label}: {inner.label} belongs outside"


def _warn_of_misorder(policies: tuple[Policy, ...]) -> None:
    for msg in misorders(policies):
        warnings.warn(msg, MisorderWarning, stacklevel=4)
