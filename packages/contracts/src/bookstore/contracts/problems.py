"""Errors on the wire: RFC 9457 problem details."""

from urllib.parse import quote

import msgspec

from bookstore.contracts.base import Wire

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:bookstore:problem:"
_PLAIN = "/:@!$&'()*+,;=~"
"""What stands in a path as it is, beside letters, digits and -._"""


class FieldError(Wire, frozen=True, kw_only=True):
    """One field of the request that was refused, and why."""

    field: str
    message: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every error answers, as `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    trace_id: str = ""
    errors: list[FieldError] = []


def reference(path: str) -> str:
    """A path as `instance` has it: a reference, whatever was asked for (RFC 9457, 3.1.5)."""
    return quote(path, safe=_PLAIN)
