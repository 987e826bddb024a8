"""HTTP in spans, by the stable conventions of OpenTelemetry.

Attributes that come in few combinations are encoded once for each. A path is shown without its query, and
without what looks like an address or a token; nothing is shown of headers and bodies.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from bookstore.resilience import current_attempt
from bookstore.service.context import RequestContext, recording
from bookstore.service.otlp import encode
from bookstore.service.otlp.encode import CLIENT, SERVER
from bookstore.service.tracing.span import Recording, Span
from bookstore.service.tracing.tracer import Tracer

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"}
)
_SERVER_ERROR, _CLIENT_ERROR = 500, 400
_LONGEST_WORD: Final = 64
"""Characters of a part of a path: what is longer is a token rather than a name."""
_ID_FROM: Final = 16
_HIDDEN: Final = "-"


def safe_path(path: str) -> str:
    """A path as it may be shown."""
    if len(path) <= _LONGEST_WORD and "@" not in path and "%" not in path:
        return path
    return "/".join(_HIDDEN if _is_private(word) else word for word in path.split("/"))


def template(path: str) -> str:
    """A path with its ids left out, where nobody has told the route."""
    if path.isascii() and not any(digit in path for digit in "0123456789"):
        return path
    return "/".join("{id}" if _is_id(word) else word for word in path.split("/"))


def served(span: Span, method: str, *, path: str, scheme: str, version: str, route: str, status: int) -> None:
    """Say of a span that it served this; `route` is empty if there is none."""
    known = method if method in METHODS else "HTTP"
    span.name = f"{known} {route}" if route else known
    span.add(_of_server(method if method in METHODS else "_OTHER", scheme, version, route, status))
    span.tell("url.path", safe_path(path))
    if status >= _SERVER_ERROR:
        span.fail(str(status))


def serving(tracer: Tracer, request: RequestContext, method: str) -> None:
    """Begin the span of a request that is served, if it is to be recorded."""
    tracer.begin(request, method, SERVER)


def calling(method: str, target: bytes, base_url: str, route: str | None, resends: int) -> Recording | None:
    """Begin the span of a call to another service; None if the request that makes it isn't recorded.

    Args:
        method: In capitals.
        target: What is asked for.
        base_url: Where the other service answers.
        route: Its route there, if that is known.
        resends: Which try this is, from 0, where the caller counts its tries itself.
    """
    parent = recording()
    if parent is None:
        return None
    path = target.partition(b"?")[0].decode("latin-1")
    span = parent.child(f"{method} {route or template(safe_path(path))}", CLIENT)
    span.add(_of_client(method, base_url))
    span.tell("url.full", base_url + safe_path(path))
    resends = resends or current_attempt() - 1
    if resends:
        span.set("http.request.resend_count", resends)
    return span


def answered(span: Recording, status: int) -> None:
    """Say of a call what was answered."""
    span.set("http.response.status_code", status)
    if status >= _CLIENT_ERROR:
        span.fail(str(status))


def carrying(span: Recording, headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """The headers of a call, which name its span as the parent of what happens at the other end."""
    return [(name, span.traceparent.encode() if name == b"traceparent" else value) for name, value in headers]


@lru_cache(maxsize=2048)
def _of_server(method: str, scheme: str, version: str, route: str, status: int) -> bytes:
    parts = [
        encode.attribute("http.request.method", method),
        encode.attribute("url.scheme", scheme),
        encode.attribute("network.protocol.version", version),
        encode.attribute("http.response.status_code", status),
    ]
    if route:
        parts.append(encode.attribute("http.route", route))
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _of_client(method: str, base_url: str) -> bytes:
    url = urlsplit(base_url)
    return b"".join((
        encode.attribute("http.request.method", method if method in METHODS else "_OTHER"),
        encode.attribute("server.address", url.hostname or ""),
        encode.attribute("server.port", url.port or (443 if url.scheme == "https" else 80)),
    ))  # fmt: skip


def _is_private(word: str) -> bool:
    return len(word) > _LONGEST_WORD or "@" in word or "%" in word


def _is_id(word: str) -> bool:
    return word.isdigit() or (len(word) >= _ID_FROM and any(each.isdigit() for each in word))
