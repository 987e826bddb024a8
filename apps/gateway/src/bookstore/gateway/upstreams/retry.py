"""Whether a request may be sent again: what may have had an effect is never repeated without leave."""

from typing import NamedTuple

from bookstore.gateway.config.model import Reason
from bookstore.resilience import Verdict
from bookstore.service.upstream import Broken, ConnectFailed, Header, TimedOut, UpstreamError

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
REPLAYABLE = 65_536
"""Bytes of a body that is kept, so that it can be sent again."""

_SERVER_ERROR, _NOT_IMPLEMENTED, _UNAVAILABLE, _VERSION = 500, 501, 503, 505
_STATUS: dict[int, Reason] = {502: "502", 503: "503", 504: "504"}


class Judged(NamedTuple):
    """What an answer says of who gave it."""

    target: Verdict
    """Whether this target is well."""
    service: Verdict
    """Whether the service is: a target's own error isn't the service's."""
    reason: Reason | None
    """Why one could ask another target."""


_WELL = Judged("ok", "ok", None)


def repeatable(method: str, *, keyed: bool) -> bool:
    """Whether sending it twice does what sending it once does."""
    return keyed or method in IDEMPOTENT


def judge(status: int, headers: list[Header]) -> Judged:
    """What an answer means."""
    if status < _SERVER_ERROR or status in (_NOT_IMPLEMENTED, _VERSION):
        return _WELL
    if status == _UNAVAILABLE and any(name == b"retry-after" for name, _ in headers):
        return _WELL  # it knows what it says, and when to come back
    reason = _STATUS.get(status)
    return Judged("fail", "ok" if reason is None else "fail", reason)


def reason_of(error: UpstreamError) -> Reason | None:
    """Why one could ask another target after this."""
    match error:
        case ConnectFailed():
            return "connect"
        case TimedOut():
            return "timeout"
        case Broken():
            return "reset"
        case _:
            return None
