"""Conditional requests (RFC 9110, section 13): what a caller knows already, and what it thinks it changes."""

import re
from collections.abc import Iterable
from hashlib import blake2b

from bookstore.service.problem import Problem

_TAG = re.compile(rb'(?:^|,)[ \t]*(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)')

Headers = Iterable[tuple[bytes, bytes]]


def etag_of(content: bytes) -> str:
    """A strong validator for what is made of `content`: the same on every replica, another for any change."""
    return f'"{blake2b(content, digest_size=12).hexdigest()}"'


def is_known(headers: Headers, etag: str) -> bool:
    """Whether `If-None-Match` names the current state, so that 304 says all: weak comparison."""
    given = [value for name, value in headers if name == b"if-none-match"]
    return bool(given) and _names(b",".join(given), etag, weakly=True)


def require_match(headers: Headers, etag: str) -> None:
    """Go on unless `If-Match` names another state than the current one: strong comparison.

    Raises:
        Problem: 412, so that of two who edit the same state only the first succeeds.
    """
    given = [value for name, value in headers if name == b"if-match"]
    if given and not _names(b",".join(given), etag, weakly=False):
        detail = "it was changed since you read it; read it again and decide anew"
        raise Problem(412, "precondition-failed", detail)


def _names(given: bytes, etag: str, *, weakly: bool) -> bool:
    if given.strip() == b"*":
        return True
    tag = etag.encode()
    return any(name == tag and (weakly or not weak) for weak, name in _TAG.findall(given))
