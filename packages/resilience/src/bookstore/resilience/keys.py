"""What two calls must have in common to count as the same."""

from collections.abc import Callable, Hashable
from typing import TypeAlias

from bookstore.resilience.policy import Call

KeyOf: TypeAlias = Callable[..., Hashable]


def key_of(key: KeyOf | None, call: Call, label: str) -> Hashable:
    """By `key`, from the arguments of the call; else the function and all of its arguments."""
    same = (
        key(*call.args, **call.kwargs)
        if key is not None
        else (call.fn, call.args, tuple(sorted(call.kwargs.items())))
    )
    try:
        hash(same)
    except TypeError:
        msg = f"{label}: {same!r} can't be a key; give one with key="
        raise TypeError(msg) from None
    return same
