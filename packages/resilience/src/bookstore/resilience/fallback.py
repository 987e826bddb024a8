"""Something to answer with when the call has no answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from inspect import Signature, isawaitable, iscoroutinefunction, signature
from typing import Any, ClassVar, TypeAlias, cast

from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.outcome import Matcher, matcher
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer

_Use: TypeAlias = Callable[[BaseException, Call], Any]


@dataclass(frozen=True, eq=False)
class Fallback(Policy):
    """Answer in place of a call that failed or was refused.

    Args:
        use: what to answer with: a value, or a function, `async` or not, that is called with the error and
            then the arguments of the call, or with as many of these as it takes. A list of functions is a
            chain: each is asked when the one before it failed.
        on: the errors that this is for: a class, several, or a predicate. By default every `Exception`.
            Rejections are meant too, unlike elsewhere; cancellations never are.
    """

    _: KW_ONLY
    use: Any
    on: Matcher | None = None

    _chain: tuple[_Use, ...] = field(default=LATER, init=False, repr=False, compare=False)
    _meant: Callable[[BaseException], bool] = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar[tuple[int, int]] = (0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        assign(self, _chain=tuple(map(_answer, _links(self.use))), _meant=matcher(self.on, refusals=True))

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Answer where `inner` doesn't: one layer for each function of the chain."""
        for use in self._chain:
            inner = self._link(inner, use, scope)
        return inner

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same around a plain function, for which nobody could await an answer."""
        if any(map(iscoroutinefunction, _links(self.use))):
            msg = f"{self.label}: an async function can't answer for a plain one"
            raise TypeError(msg)
        for use in self._chain:
            inner = self._sync_link(inner, use, scope)
        return inner

    def _link(self, inner: Layer, use: _Use, scope: Scope) -> Layer:
        async def layer(call: Call) -> Any:
            try:
                return await inner(call)
            except Exception as error:
                if not self._meant(error):
                    raise
                self._tell(scope, call, error)
                value = use(error, call)
                return await value if isawaitable(value) else value

        return layer

    def _sync_link(self, inner: SyncLayer, use: _Use, scope: Scope) -> SyncLayer:
        def layer(call: Call) -> Any:
            try:
                return inner(call)
            except Exception as error:
                if not self._meant(error):
                    raise
                self._tell(scope, call, error)
                return use(error, call)

        return layer

    def _tell(self, scope: Scope, call: Call, error: Exception) -> None:
        scope.emit("fallback", self.label, attempt=call.attempt, detail={"error": type(error).__name__})


def _links(use: Any) -> list[Any]:
    """The functions of a chain. A list that holds anything else is a value to answer with."""
    links = list(cast("Sequence[Any]", use)) if isinstance(use, list | tuple) else []
    return links if links and all(map(callable, links)) else [use]


def _answer(use: Any) -> _Use:
    if not callable(use):
        return lambda _error, _call: use
    if isinstance(use, type) and use.__module__ == "builtins":  # such as `list`: an empty one
        return lambda _error, _call: use()
    shape = signature(use)
    return lambda error, call: _fit(use, shape, error, call)


def _fit(use: Callable[..., Any], shape: Signature, error: BaseException, call: Call) -> Any:
    """Call `use` with the error and the arguments, the error, or nothing: the first that it takes."""
    shapes: tuple[tuple[tuple[Any, ...], Mapping[str, Any]], ...]
    shapes = ((error, *call.args), call.kwargs), ((error,), {})
    for args, kwargs in shapes:
        try:
            shape.bind(*args, **kwargs)
        except TypeError:
            continue
        return use(*args, **kwargs)
    return use()
