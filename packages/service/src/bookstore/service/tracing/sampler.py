"""Which traces are recorded: decided where a trace begins, and by the caller's word after that."""

from collections.abc import Callable
from typing import Final, TypeAlias

Sampler: TypeAlias = Callable[[str, bool | None], bool]
"""Whether to record, by the trace's id and by what the caller has decided: None if there is no caller."""

_HALF: Final = 16
_ALL: Final = 1 << 64


def _always(trace_id: str, caller: bool | None) -> bool:  # noqa: FBT001 - a sampler's shape
    del trace_id, caller
    return True


def _never(trace_id: str, caller: bool | None) -> bool:  # noqa: FBT001
    del trace_id, caller
    return False


def _ratio(ratio: float) -> Sampler:
    bound = round(ratio * _ALL)

    def sampled(trace_id: str, caller: bool | None) -> bool:  # noqa: FBT001
        del caller
        # The same half of the id that OpenTelemetry looks at: whoever asks gets the same answer.
        return int(trace_id[_HALF:], 16) < bound

    return sampled


def _parent_based(root: Sampler) -> Sampler:
    def sampled(trace_id: str, caller: bool | None) -> bool:  # noqa: FBT001
        return root(trace_id, None) if caller is None else caller

    return sampled


DEFAULT: Final = _parent_based(_always)
NAMES: Final = (
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
)  # fmt: skip


def sampler(name: str, ratio: float) -> Sampler:
    """The sampler that OpenTelemetry calls so.

    Raises:
        KeyError: for another name.
    """
    plain = {"always_on": _always, "always_off": _never, "traceidratio": _ratio(ratio)}
    base = plain[name.removeprefix("parentbased_")]
    return _parent_based(base) if name.startswith("parentbased_") else base
