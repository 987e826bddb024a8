"""A request's head, read once: what the gateway itself has to know of it."""

from typing import NamedTuple

from bookstore.service.problem import Problem
from bookstore.service.upstream import Header

MAX_HEAD = 32_768
"""Bytes that names and values may take together."""


_LOOKED_AT = frozenset({
    b"access-control-request-method",
    b"authorization",
    b"content-length",
    b"host",
    b"idempotency-key",
    b"origin",
    b"transfer-encoding",
    b"upgrade",
    b"x-forwarded-for",
})  # fmt: skip
_NOTHING: list[bytes] = []


class Head(NamedTuple):
    """What matters here.

    Attributes:
        length: Bytes of the body: 0 without one, None if that isn't said beforehand.
        host: Without its port, in lower case.
        forwarded: Each `X-Forwarded-For`.
        keyed: Whether the client says by a key that it may be sent twice.
        websocket: Whether it asks for another protocol.
        origin: Which page asks, if a browser says so.
        preflight: Whether a browser asks what it may ask.
        authorized: Whether there is a header that says who asks.
    """

    length: int | None
    host: bytes
    forwarded: list[bytes]
    keyed: bool
    websocket: bool
    origin: bytes | None
    preflight: bool
    authorized: bool


def read_head(headers: list[Header]) -> Head:
    """Read it.

    Raises:
        Problem: 431 if it is too long.
    """
    size = 0
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        size += len(name) + len(value)
        if name in _LOOKED_AT:
            found.setdefault(name, []).append(value)
    if size > MAX_HEAD:
        detail = f"the headers are longer than {MAX_HEAD} bytes"
        raise Problem(431, "header-fields-too-large", detail, headers={"Connection": "close"})
    # The server has refused several hosts, and lengths that contradict each other.
    lengths = found.get(b"content-length", [b"0"])
    host = found.get(b"host", [b""])[0].lower()
    return Head(
        length=None if b"transfer-encoding" in found else int(lengths[0]),
        host=_without_port(host) if b":" in host else host,
        forwarded=found.get(b"x-forwarded-for", _NOTHING),
        keyed=b"idempotency-key" in found and any(value.strip() for value in found[b"idempotency-key"]),
        websocket=b"upgrade" in found
        and any(value.strip().lower() == b"websocket" for value in found[b"upgrade"]),
        origin=found.get(b"origin", [None])[0],
        preflight=b"access-control-request-method" in found,
        authorized=b"authorization" in found,
    )


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host
