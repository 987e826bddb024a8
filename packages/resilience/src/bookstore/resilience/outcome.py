"""How a call ended, and what that means.

One `Outcome` and one `Verdict` serve the breaker, the retry, the budget, the adaptive limit and the ejector,
so that they can't disagree. There are three verdicts, not two: a cancelled call or a refusal by an inner
policy is neither a success nor a failure, and whoever takes it for one closes circuits that should stay open,
or the other way round.
"""

from collections.abc import Callable, Collection
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from bookstore.resilience import checks
from bookstore.resilience.errors import Rejected

T = TypeVar("T")

Verdict: TypeAlias = Literal["ok", "fail", "ignore"]
"""`ok` and `fail` teach a policy something; `ignore` gives the permit back and teaches nothing."""

_VERDICTS: Final = frozenset(get_args(Verdict))


class Outcome(NamedTuple, Generic[T]):
    """How one call, or one try of it, ended: with a `value` or with an `error`."""

    value: T | None = None
    error: BaseException | None = None
    elapsed: float = 0.0
    attempt: int = 1


Classify: TypeAlias = Callable[[Outcome[Any]], Verdict]
"""Your own judge. It is asked about values and ordinary errors, not about cancellations and rejections."""

if TYPE_CHECKING:
    Matcher: TypeAlias = (
        type[BaseException] | Collection[type[BaseException]] | UnionType | Callable[[BaseException], bool]
    )
    """Which errors are meant: a class, several, or a predicate."""
else:
    Matcher = Any  # decoders such as msgspec read annotations, and can't express this union


def judge(error: BaseException | None) -> Verdict:
    """The verdict where nobody brought a classifier: any `Exception` that isn't a rejection is a failure."""
    if error is None:
        return "ok"
    # What is no `Exception` (a cancellation, an exit, a group of them) says nothing about the dependency.
    return "fail" if isinstance(error, Exception) and not isinstance(error, Rejected) else "ignore"


def verdict_of(outcome: Outcome[Any], classify: Classify | None = None) -> Verdict:
    """The verdict on an outcome: by `classify` where it has a say, else by `judge`."""
    verdict = judge(outcome.error)
    if classify is None or verdict == "ignore":
        return verdict
    verdict = classify(outcome)
    if verdict not in _VERDICTS:
        msg = f"classify must return 'ok', 'fail' or 'ignore', not {verdict!r}"
        raise ValueError(msg)
    return verdict


def matcher(on: Matcher | None, *, refusals: bool = False) -> Callable[[BaseException], bool]:
    """Turn the three ways to name errors into one question.

    A rejection is matched only when a class names it (`on=RateLimited`): neither `Exception` nor a predicate
    means the refusals of this side, unless `refusals` says so. A cancellation is never matched.
    """

    def meant(error: BaseException) -> bool:
        return isinstance(error, Exception) and (refusals or not isinstance(error, Rejected))

    if on is None:
        return meant
    if callable(on) and not isinstance(on, type):
        checks.plain("on", on)
        return lambda error: meant(error) and bool(on(error))
    return _listed(_types(on), meant)


def _types(on: object) -> tuple[type[BaseException], ...]:
    """The classes that are named: one, a union, or any collection of them."""
    several: Any = get_args(on) if isinstance(on, UnionType) else on
    try:
        types: tuple[Any, ...] = tuple(several)
    except TypeError:
        types = (several,)
    ok = not isinstance(on, str) and all(
        isinstance(cls, type) and issubclass(cls, BaseException) for cls in types
    )
    checks.require(ok, "on", "classes of errors, or a predicate", on)
    return types


def _listed(
    types: tuple[type[BaseException], ...], meant: Callable[[BaseException], bool]
) -> Callable[[BaseException], bool]:
    named = tuple(cls for cls in types if issubclass(cls, Rejected))
    return lambda error: isinstance(error, types if meant(error) else named)


def failed(
    outcome: Outcome[Any], matches: Callable[[BaseException], bool], classify: Classify | None = None
) -> bool:
    """Whether an outcome is an error that `matches`, or a value, that `classify` doesn't excuse."""
    error = outcome.error
    if error is None:
        return classify is not None and classify(outcome) == "fail"
    if not matches(error):
        return False
    return classify is None or isinstance(error, Rejected) or classify(outcome) == "fail"
