"""The head of a request, as the bytes that go out. Whatever could be read as two requests is refused."""

from collections.abc import Iterable
from functools import lru_cache

Header = tuple[bytes, bytes]

_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TARGET = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))
_OWN = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding"})


def framing(body: bool, length: int | None, method: str) -> bytes:  # noqa: FBT001
    """The header that tells where the body ends; `length` is None for a body whose length isn't known."""
    if not body:
        # A POST without a body says so; a GET needs no word of it.
        return b"content-length: 0\r\n" if method in ("POST", "PUT", "PATCH") else b""
    return b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length


def request_head(method: str, target: bytes, host: bytes, frame: bytes, *lines: bytes) -> bytes:
    """A whole head, blank line included; `lines` are what `header_lines` gives.

    Raises:
        ValueError: for a method or target that would change where the request ends.
    """
    if not target.startswith(b"/") or target.translate(None, _TARGET):
        raise ValueError(f"not a request target: {target!r}")
    return b"".join((_method(method), target, b" HTTP/1.1\r\nhost: ", host, b"\r\n", frame, *lines, b"\r\n"))


def header_lines(headers: Iterable[Header]) -> bytes:
    """Headers as they go out.

    Raises:
        ValueError: for one that would change where the request ends, and for one that only the client itself
            writes (Host, Connection, Content-Length, Transfer-Encoding).
    """
    pieces: list[bytes] = []
    for name, value in headers:
        pieces += (_named(name), value, b"\r\n")
    lines, count = b"".join(pieces), len(pieces) // 3
    if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines:
        raise ValueError("a header value must not hold CR, LF or NUL")
    return lines


# Names come again and again, so what is known of them is remembered.


@lru_cache
def _method(method: str) -> bytes:
    if not method or not method.isascii() or method.encode().translate(None, _TOKEN):
        raise ValueError(f"not a method: {method!r}")
    return method.encode() + b" "


@lru_cache(1024)
def _named(name: bytes) -> bytes:
    if not name or name.translate(None, _TOKEN):
        raise ValueError(f"not a header name: {name!r}")
    if name.lower() in _OWN:
        raise ValueError(f"the client writes this header itself: {name!r}")
    return name + b": "
