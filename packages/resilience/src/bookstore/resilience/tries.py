"""Which try of a call runs here: for what the call itself sends or notes, such as a span's resend count."""

from contextvars import ContextVar
from typing import Any

from bookstore.resilience.policy import Call, Layer, SyncLayer

_current: ContextVar[int] = ContextVar("attempt", default=1)


def current_attempt() -> int:
    """The number of the try that runs here, from 1: what a `Retry` repeats and a `Hedge` starts counts on."""
    return _current.get()


async def numbered(inner: Layer, call: Call) -> Any:
    """A try that isn't the first one: `current_attempt` gives its number, until it ends."""
    before = _current.get()
    _current.set(call.attempt)
    try:
        return await inner(call)
    finally:
        _current.set(before)  # not by a token: what is closed unfinished may end in another context


def numbered_sync(inner: SyncLayer, call: Call) -> Any:
    """The same for a plain function."""
    before = _current.get()
    _current.set(call.attempt)
    try:
        return inner(call)
    finally:
        _current.set(before)
