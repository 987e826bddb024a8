"""Headers on their way through: what belongs to one connection stays there, and nobody speaks in our name."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

from bookstore.service.upstream import Header

_ONE_CONNECTION = frozenset({
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
})  # fmt: skip
_REQUEST_DROPS = _ONE_CONNECTION | {
    # The client to the service writes these itself, and passes on our own request id and trace.
    b"host",
    b"content-length",
    b"expect",
    b"http2-settings",
    b"x-request-id",
    b"x-trace-id",
    b"traceparent",
    b"tracestate",
    b"baggage",
    # Only we say who asks and how long there is.
    b"forwarded",
    b"x-real-ip",
    b"x-deadline-ms",
    # What the gateway itself has looked at.
    b"x-api-key",
}
_REQUEST_DROPPED_PREFIXES = (b"x-forwarded-", b"x-user-", b"x-gateway-")
_NOTHING: frozenset[bytes] = frozenset()
_NOT_NAMED = _ONE_CONNECTION | {b"close", b"content-length"}
_ANSWER_DROPS = _ONE_CONNECTION | {b"server"}
_LINKED = re.compile(rb'("(?:[^"\\]|\\.)*"?)|<([^<>]*)>', re.DOTALL)
"""What a Link header links to (RFC 8288), and words in quotes, which may look like it."""

Outward: TypeAlias = Callable[[bytes], bytes]


def to_service(headers: Iterable[Header], *, client: str, scheme: str) -> list[Header]:
    """A request's headers as the service gets them; names come in lower case, as ASGI has them.

    Names with an underscore are dropped: some servers take `x_user_id` for `x-user-id`. So are the words with
    which our services prove to each other what they are: nobody outside has any use for them.
    """
    headers = list(headers)
    named = _named_by_connection(headers)
    kept: list[Header] = []
    host = None
    for name, value in headers:
        if not (_stays_here(name) or name in named or (name == b"authorization" and _is_ours(value))):
            kept.append((name, value))
        elif name == b"host":
            host = value
    kept += _told(client, scheme, host)
    return kept


def to_client(headers: Iterable[Header], *, base_url: bytes, outward: Outward | None = None) -> list[Header]:
    """An answer's headers as the client gets them.

    Args:
        headers: The service's.
        base_url: Where it was asked: a redirect or a link to there becomes relative.
        outward: How the client has to name a path of the service; as the service does, if None.
    """
    kept: list[Header] = []
    named = _NOTHING
    for header in headers:
        name, value = header
        if name in _TOLD_ANEW:
            kept.append((name, _TOLD_ANEW[name](value, base_url, outward)))
        elif name not in _ANSWER_DROPS:
            kept.append(header)
        elif name == b"connection":
            named |= _tokens(value)
    return [header for header in kept if header[0] not in named] if named else kept


# The same few names and clients come again and again, so what was found out of them is remembered.


@lru_cache(1024)
def _stays_here(name: bytes) -> bool:
    """Whether no request's header of that name goes on."""
    return name in _REQUEST_DROPS or b"_" in name or name.startswith(_REQUEST_DROPPED_PREFIXES)


@lru_cache(1024)
def _told(client: str, scheme: str, host: bytes | None) -> tuple[Header, ...]:
    """What we tell the service of where a request comes from."""
    told = [(b"x-forwarded-for", client.encode()), (b"x-forwarded-proto", scheme.encode())]
    if host is not None:
        told.append((b"x-forwarded-host", host))
    return *told, (b"forwarded", _forwarded(client, scheme, host))


def _is_ours(authorization: bytes) -> bool:
    return authorization[:8].lower() == b"service "


def _named_by_connection(headers: list[Header]) -> frozenset[bytes]:
    named = [value for name, value in headers if name == b"connection"]
    return _tokens(b",".join(named)) if named else _NOTHING


@lru_cache(256)
def _tokens(named: bytes) -> frozenset[bytes]:
    # Content-Length can't be named away: it tells where the answer ends.
    return frozenset(token.strip().lower() for token in named.split(b",")) - _NOT_NAMED


def _forwarded(client: str, scheme: str, host: bytes | None) -> bytes:
    """RFC 7239. The client's word for the host is only passed on if it needs no quoting of quotes."""
    address = f'"[{client}]"' if ":" in client else client
    told = f"for={address};proto={scheme}".encode()
    return told if host is None or b'"' in host or b"\\" in host else told + b';host="' + host + b'"'


def _location(location: bytes, base_url: bytes, outward: Outward | None) -> bytes:
    if location.startswith(base_url):
        rest = location[len(base_url) :]
        if rest[:1] not in (b"", b"/"):
            return location  # another port that begins with the same digits
        location = rest or b"/"
    if outward is None or not location.startswith(b"/") or location.startswith(b"//"):
        return location
    return outward(location)


def _link(links: bytes, base_url: bytes, outward: Outward | None) -> bytes:
    def told(found: re.Match[bytes]) -> bytes:
        quoted, target = found.groups()
        return quoted if target is None else b"<%b>" % _location(target, base_url, outward)

    return _LINKED.sub(told, links)


_TOLD_ANEW = {b"location": _location, b"link": _link}
