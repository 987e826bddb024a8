"""All pipelines of a process, built from a file and changed while it runs."""

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from bookstore.resilience.adaptive import Adaptive
from bookstore.resilience.breaker import Breaker
from bookstore.resilience.bulkhead import Bulkhead
from bookstore.resilience.chaos import Chaos
from bookstore.resilience.clock import Clock
from bookstore.resilience.deadline import Deadline
from bookstore.resilience.events import Sink
from bookstore.resilience.fallback import Fallback
from bookstore.resilience.flight import SingleFlight
from bookstore.resilience.hedge import Hedge
from bookstore.resilience.pipeline import MisorderWarning, Pipeline, misorders
from bookstore.resilience.policy import Policy
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.retry import Retry
from bookstore.resilience.settings import build, differ
from bookstore.resilience.stale import Stale
from bookstore.resilience.timeout import Timeout

logger = logging.getLogger(__name__)

KINDS: Final[tuple[type[Policy], ...]] = (
    Adaptive,
    Breaker,
    Bulkhead,
    Chaos,
    Deadline,
    Fallback,
    Hedge,
    RateLimit,
    Retry,
    SingleFlight,
    Stale,
    Timeout,
)
"""What a file can name: by the kind, as `breaker` or `rate_limit`."""

_BY_KIND: Final[dict[str, type[Policy]]] = {kind.kind.replace("_", ""): kind for kind in KINDS}


class Registry:
    """Pipelines by name.

    ```python
    spec = {"books": {"retry": {"attempts": 3}, "breaker": {}, "timeout": 0.4}}
    registry = Registry(sinks=[log]).load(spec)


    @registry["books"]
    async def book(isbn: str) -> Book: ...
    ```

    Args:
        clock: for all pipelines.
        sinks: for all pipelines.
    """

    def __init__(self, *, clock: Clock | None = None, sinks: Iterable[Sink] = ()) -> None:
        self._clock = clock
        self._sinks = tuple(sinks)
        self._loaded: dict[str, Pipeline] = {}
        self._defined: dict[str, Pipeline] = {}

    def load(self, spec: Mapping[str, Mapping[str, Any]]) -> Self:
        """Make the loaded set this one: all of it, or with a `ValueError` that names the field nothing.

        Each entry names its policies from the outside in. Those whose settings didn't change keep their
        state; a breaker keeps it through a change as well. Whoever holds a pipeline, a decorated function for
        one, has the new settings from the next call on. Entries that are gone are gone from the registry, and
        work on where held. What stands the wrong way round is told in the log, where the owner of a file
        looks, and not by a Python warning.
        """
        built = {name: _policies(name, entry) for name, entry in spec.items()}
        for name in built.keys() & self._defined.keys():
            _agree(self._defined[name], built.pop(name))
        loaded: dict[str, Pipeline] = {}
        changes: list[Callable[[], None]] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MisorderWarning)
            for name, policies in built.items():
                for misorder in misorders(policies):
                    logger.warning("%s: %s", name, misorder)
                known = self._loaded.get(name)
                if known is None:
                    loaded[name] = self._pipeline(name, policies)
                else:
                    loaded[name] = known
                    changes += _carry_over(known, policies)
        for change in changes:
            change()
        self._loaded = loaded
        return self

    def define(self, name: str, *policies: Policy) -> Pipeline:
        """The pipeline of this name, made with these policies if there is none.

        The same settings give the same pipeline, from wherever they come. Other settings are a `ValueError`.
        """
        known = self._loaded.get(name) or self._defined.get(name)
        if known is None:
            known = self._defined[name] = self._pipeline(name, policies)
        else:
            _agree(known, policies)
        return known

    def __getitem__(self, name: str) -> Pipeline:
        return self._loaded[name] if name in self._loaded else self._defined[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._loaded
        yield from self._defined

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._defined

    def __len__(self) -> int:
        return len(self._loaded) + len(self._defined)

    def _pipeline(self, name: str, policies: Iterable[Policy]) -> Pipeline:
        return Pipeline(name, *policies, clock=self._clock, sinks=self._sinks)


def _agree(known: Pipeline, policies: Sequence[Policy]) -> None:
    """Raise `ValueError` unless a pipeline is made of these."""
    if len(known.policies) != len(policies) or any(map(differ, known.policies, policies)):
        msg = f"{known.name}: already defined with other settings: {known!r}"
        raise ValueError(msg)


def _policies(name: str, entry: Mapping[str, Any]) -> list[Policy]:
    policies: list[Policy] = []
    if not isinstance(entry, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from a file
        msg = f"{name}: must be a table of policies, not {entry!r}"
        raise ValueError(msg)  # noqa: TRY004 - as all that is wrong with a file
    for key, settings in entry.items():
        kind = _BY_KIND.get(key.replace("_", "").replace("-", "").lower())
        if kind is None:
            msg = f"{name}.{key}: no such policy; there are {', '.join(one.kind for one in KINDS)}"
            raise ValueError(msg)
        policies.append(build(kind, settings, f"{name}.{key}"))
    return policies


def _carry_over(known: Pipeline, policies: list[Policy]) -> list[Callable[[], None]]:
    """What brings a pipeline to new settings, with what it knows where that still applies."""
    before = {policy.kind: policy for policy in known.policies}
    kept: list[Policy] = []
    changes: list[Callable[[], None]] = []
    for new in policies:
        old: Policy = before.get(new.kind, new)
        if differ(old, new):
            if not old.adaptable:
                old = new
            else:
                changes.append(partial(old.adapt, new))
        kept.append(old)
    if tuple(kept) != known.policies:
        changes.append(known.prepare(*kept))
    return changes
