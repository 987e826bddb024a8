"""Errors on the wire: RFC 9457 problem details."""

import msgspec

from bookstore.contracts.base import Wire

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:bookstore:problem:"


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
