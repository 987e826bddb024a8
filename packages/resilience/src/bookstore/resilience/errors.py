"""What policies raise, beside the errors of the call itself.

A `Rejected` says that this side refused: it tells nothing about the dependency, so every outer policy ignores
it (no breaker counts it, no retry repeats it unless told to by its class).
"""

from contextlib import suppress
from copy import copy
from typing import ClassVar, TypeVar

E = TypeVar("E", bound=BaseException)


def fresh(error: E) -> E:
    """A copy without the frames of those who met the error; itself, where its class can't be copied."""
    try:
        twin = copy(error)
    except Exception:  # noqa: BLE001 - whatever a constructor makes of arguments that it doesn't know
        twin = error
    return (twin if twin.args == error.args else error).with_traceback(None)


def note(error: BaseException, text: str) -> None:
    """Add a note, once: one error may be raised by many calls. One that takes no notes is left as it is."""
    if text not in getattr(error, "__notes__", ()):
        with suppress(Exception):  # a frozen dataclass, for one, takes none
            error.add_note(text)


class Rejected(Exception):
    """A policy refused the call.

    Attributes:
        policy: the label of the policy that refused: its `name`, else its kind, such as `"breaker"`.
        retry_after: seconds after which another try may be let in, `None` when nobody can tell.
    """

    reason: ClassVar[str] = "rejected"

    def __init__(self, policy: str, retry_after: float | None = None) -> None:
        # Rounded to the nanosecond, because 1030 - 1000.001 is not 29.999 in floating point.
        retry_after = None if retry_after is None else round(retry_after, 9)
        super().__init__(policy, retry_after)
        self.policy = policy
        self.retry_after = retry_after

    def __str__(self) -> str:
        text = f"{self.policy}: {self.reason}"
        return text if self.retry_after is None else f"{text}, retry after {self.retry_after:.3f} s"


class CircuitOpen(Rejected):
    """The breaker lets no call through, or no further trial."""

    reason = "circuit open"


class BulkheadFull(Rejected):
    """All slots are taken, and the queue is full or the wait was over."""

    reason = "no free slot"


class RateLimited(Rejected):
    """The quota is spent."""

    reason = "over the rate limit"


class DeadlineExceeded(Rejected):
    """The time that the caller gave is over, on arrival or on the way."""

    reason = "deadline exceeded"


class TimedOut(TimeoutError):
    """A `Timeout` policy cut the try off. A `TimeoutError` of the call's own is never turned into this."""

    def __init__(self, policy: str, seconds: float) -> None:
        super().__init__(policy, seconds)
        self.policy = policy
        self.seconds = seconds

    def __str__(self) -> str:
        return f"{self.policy}: no answer within {self.seconds:g} s"
