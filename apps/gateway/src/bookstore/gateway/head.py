"""A request's head, read once: what the gateway itself has to know of it, and what goes on to the service."""

from typing import NamedTuple

from bookstore.gateway.address import Proxies
from bookstore.gateway.headers import to_service
from bookstore.gateway.memory import Memory
from bookstore.service.problem import Problem
from bookstore.service.upstream import Header, header_lines

MAX_HEAD = 32_768
"""Bytes that names and values may take together."""
_SHORT = 4096
"""Bytes of a head that is remembered."""
_REMEMBERED = 1024

_LOOKED_AT = frozenset({
    b"access-control-request-method",
    b"authorization",
    b"content-length",
    b"host",
    b"idempotency-key",
    b"origin",
    b"transfer-encoding",
    b"upgrade",
    b"x-api-key",
    b"x-forwarded-for",
})  # fmt: skip
_NOTHING: list[bytes] = []


class Head(NamedTuple):
    """What matters here.

    Attributes:
        length: Bytes of the body: 0 without one, None if that isn't said beforehand.
        host: Without its port, in lower case.
        address: Where the request comes from.
        keyed: Whether the client says by a key that it may be sent twice.
        websocket: Whether it asks for another protocol.
        origin: Which page asks, if a browser says so.
        preflight: Whether a browser asks what it may ask.
        shown: Each header with a token.
        keys: Each header with a key.
        lines: What goes on to the service, as it goes out.
    """

    length: int | None
    host: bytes
    address: str
    keyed: bool
    websocket: bool
    origin: bytes | None
    preflight: bool
    shown: list[bytes]
    keys: list[bytes]
    lines: bytes


class Heads:
    """Reads heads.

    Args:
        proxies: Whose word counts for where a request comes from.
    """

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._known: Memory[tuple[str | Header, ...], Head] = Memory(_REMEMBERED)

    def read(self, headers: list[Header], peer: str) -> Head:
        """Read one.

        Args:
            headers: Names in lower case.
            peer: Who has connected to us.

        Raises:
            Problem: 431 if it is too long.
        """
        key: tuple[str | Header, ...] = (peer, *headers)
        known = self._known.get(key)
        if known is not None:
            return known
        size = sum(len(name) + len(value) for name, value in headers)
        if size > MAX_HEAD:
            detail = f"the headers are longer than {MAX_HEAD} bytes"
            raise Problem(431, "header-fields-too-large", detail, headers={"Connection": "close"})
        head = self._found(headers, peer)
        return self._known.keep(key, head) if size <= _SHORT else head

    def _found(self, headers: list[Header], peer: str) -> Head:
        found: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            if name in _LOOKED_AT:
                found.setdefault(name, []).append(value)
        # The server has refused several hosts, and lengths that contradict each other.
        lengths = found.get(b"content-length", [b"0"])
        host = found.get(b"host", [b""])[0].lower()
        address = self._proxies.client(peer, found.get(b"x-forwarded-for", _NOTHING))
        return Head(
            length=None if b"transfer-encoding" in found else int(lengths[0]),
            host=_without_port(host) if b":" in host else host,
            address=address,
            keyed=b"idempotency-key" in found and any(value.strip() for value in found[b"idempotency-key"]),
            websocket=b"upgrade" in found
            and any(value.strip().lower() == b"websocket" for value in found[b"upgrade"]),
            origin=found.get(b"origin", [None])[0],
            preflight=b"access-control-request-method" in found,
            shown=found.get(b"authorization", _NOTHING),
            keys=found.get(b"x-api-key", _NOTHING),
            lines=header_lines(to_service(headers, client=address, scheme="http")),
        )


def _without_port(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host
