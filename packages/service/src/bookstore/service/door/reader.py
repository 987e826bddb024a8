"""What llhttp (httptools) finds in the bytes of a connection, put together to heads, and checked."""

from typing import Any, NamedTuple, Protocol

import httptools

from bookstore.service.door.refusal import Refusal
from bookstore.service.door.request import Request
from bookstore.service.door.target import is_named, split

MAX_HEAD = 65_536
"""Bytes that a request's head may take."""
MAX_HEADERS = 100
MAX_TARGET = 16_384
"""Bytes that may be asked for in one line."""

_VERSIONS = ("1.1", "1.0")
_TOLD = frozenset({b"content-length", b"expect", b"transfer-encoding", b"upgrade"})
"""Headers that the server itself goes by."""


class Head(NamedTuple):
    """A head that can be answered."""

    request: Request
    version: str
    told: dict[bytes, bytes]
    """What it says to the server itself; nothing, if it has no body and wants nothing special."""


class Taker(Protocol):
    """The connection, as the reader sees it."""

    def on_head(self, head: Head) -> None:
        """The head of a request is whole."""
        ...

    def on_body(self, body: bytes) -> None:
        """A piece of its body, without its framing."""
        ...

    def on_whole(self) -> None:
        """The request is whole."""
        ...


class Reader:
    """Reads one request after the other.

    Args:
        taker: Is given what was read.
    """

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._parser = httptools.HttpRequestParser(self)
        self.client: Any = None
        """Address and port of who sends them."""
        self._is_head = True
        """Whether headers belong to the head; trailers are needed by nobody here."""
        self._begin()

    def _begin(self) -> None:
        self._is_head = True
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._told: dict[bytes, bytes] = {}
        self._hosts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            HttpParserUpgrade: behind a request that asks for another protocol, which is taken all the same.
            HttpParserError: this is no request, or none that can be taken; its context may be a `Refusal`.
        """
        self._parser.feed_data(data)

    # -- called by the parser

    def on_message_begin(self) -> None:
        """llhttp: a request begins."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """llhttp: a piece of the target."""
        self._target += url
        if len(self._target) > MAX_TARGET:
            raise self._refusal(414, "uri-too-long", "the target of the request is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a header, or a trailer."""
        if not self._is_head:
            return
        name = name.lower()
        if value[-1:].isspace():
            value = value.rstrip()
        if name in _TOLD:
            self._told[name] = value.lower()
        elif name == b"host":
            self._hosts.append(value)
        self._size += len(name) + len(value)
        if len(self._headers) == MAX_HEADERS or self._size > MAX_HEAD:
            raise self._refusal(431, "header-fields-too-large", "the request has too many headers")
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp: the head is whole."""
        self._is_head = False
        version = self._parser.get_http_version()
        coding = self._told.get(b"transfer-encoding")
        if version not in _VERSIONS:
            raise self._refusal(505, "http-version-not-supported", "HTTP/1.1 and HTTP/1.0 are spoken here")
        if coding is not None and (coding != b"chunked" or version == "1.0"):
            raise self._refusal(400, "bad-request", "the body is framed in a way that isn't known here")
        if not is_named(self._hosts, version):
            raise self._refusal(400, "bad-request", "the request names no host, or none that can be one")
        method = self._parser.get_method().decode()
        path, query = split(self._target, method)
        keep_alive = self._parser.should_keep_alive()
        request = Request(method, path, query, self._headers, self.client, keep_alive)
        self._taker.on_head(Head(request, version, self._told))

    def on_body(self, body: bytes) -> None:
        """llhttp: a piece of the body."""
        self._taker.on_body(body)

    def on_message_complete(self) -> None:
        """llhttp: the request is whole."""
        self._taker.on_whole()

    def _refusal(self, status: int, slug: str, detail: str) -> Refusal:
        return Refusal(status, slug, detail, target=self._target, headers=self._headers)
