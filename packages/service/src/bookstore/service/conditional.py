"""Conditional requests (RFC 9110, section 13): what a caller knows already, and what it thinks it changes."""

import re
from collections.abc import Iterable
from hashlib import blake2b

from bookstore.service.problem import Problem

_TAG = re.compile(rb'(?:^|,)[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)')

_CONDITIONS = frozenset({b"if-match", b"if-none-match"})

Headers = Iterable[tuple[bytes, bytes]]


class PreconditionFailed(Problem):
    """The state isn't the one that the caller has in mind; nothing was changed."""

    def __init__(self, detail: str) -> None:
        super().__init__(412, "precondition-failed", detail)


def etag_of(content: bytes) -> str:
    """A strong validator for what is made of `content`: the same on every replica, another for any change."""
    return f'"{blake2b(content, digest_size=12).hexdigest()}"'


def is_known(headers: Headers, etag: str) -> bool:
    """Whether `If-None-Match` names the current state, so that 304 says all: weak comparison."""
    given = _given(headers, b"if-none-match")
    return given is not None and _names(given, etag, weakly=True)


def is_conditional(headers: Headers) -> bool:
    """Whether a change is to be made of a certain state only, which `require_match` then looks at."""
    return any(name in _CONDITIONS for name, _ in headers)


def require_match(headers: Headers, etag: str | None) -> None:
    """Go on with a change unless its caller has another state in mind than the current one.

    Args:
        headers: The request's. `If-Match` names the state that is to be changed, in strong comparison, and
            `If-None-Match` what must not be there, in weak.
        etag: The current state; None if there is nothing yet.

    Raises:
        PreconditionFailed: so of two who edit the same state, or make something, only the first succeeds.
    """
    if_match, if_none_match = _given(headers, b"if-match"), _given(headers, b"if-none-match")
    if if_match is not None and not _names(if_match, etag, weakly=False):
        raise PreconditionFailed("it was changed since you read it; read it again and decide anew")
    if if_none_match is not None and _names(if_none_match, etag, weakly=True):
        raise PreconditionFailed("it is there already, and you asked for that not to be so")


def _given(headers: Headers, wanted: bytes) -> bytes | None:
    """All that headers of this name say; None without any."""
    given = [value for name, value in headers if name == wanted]
    return b",".join(given) if given else None


def _names(given: bytes, etag: str | None, *, weakly: bool) -> bool:
    if etag is None:
        return False
    if given.strip() == b"*":
        return True
    tag = etag.encode()
    return any(name == tag and (weakly or not weak) for weak, name in _TAG.findall(given))
