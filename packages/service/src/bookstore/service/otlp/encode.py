"""Spans as the bytes of OTLP (protobuf), made field by field.

A span is encoded the moment it ends: what waits to be sent is a few hundred bytes and nothing else, and no
other thread ever needs the interpreter for longer than it takes to join them. Attributes repeat, so their
bytes are remembered.
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

Value: TypeAlias = str | bool | int | float

LONGEST: Final = 256
"""Characters that are kept of a text."""

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(1, 6)
"""The kinds of spans, as OTLP numbers them."""

# Fields that hold attributes, by what they are attributes of.
OF_RESOURCE, OF_EVENT, OF_LINK, OF_SPAN = b"\x0a", b"\x1a", b"\x22", b"\x4a"

_FLAGS_OF_OURS: Final = b"\x85\x01\x01\x01\x00\x00"
_FLAGS_OF_A_CALLER: Final = b"\x85\x01\x01\x03\x00\x00"
"""Sampled; and the parent is known to be in this process, or known to be in another."""
_TIMES: Final = struct.Struct("<BQBQ").pack
_TIME: Final = struct.Struct("<BQ").pack
_DOUBLE: Final = struct.Struct("<Bd").pack


def span(
    *,
    trace_id: str,
    span_id: str,
    parent_id: str,
    of_caller: bool,
    tracestate: str,
    name: str,
    kind: int,
    started: int,
    ended: int,
    attributes: Iterable[bytes],
    events: Iterable[bytes],
    dropped_events: int,
    links: Iterable[bytes],
    status: bytes,
) -> bytes:
    """One span, as the field of its scope; times are nanoseconds of the epoch, parts are encoded already."""
    body = b"".join((
        b"\x0a\x10", bytes.fromhex(trace_id),
        b"\x12\x08", bytes.fromhex(span_id),
        b"\x22\x08" + bytes.fromhex(parent_id) if parent_id else b"",
        _field(b"\x1a", tracestate.encode("latin-1")) if tracestate else b"",
        _named(b"\x2a", name),
        b"\x30", kind.to_bytes(1, "little"),
        _TIMES(0x39, started, 0x41, ended),
        *attributes,
        *events,
        b"\x60" + _varint(dropped_events) if dropped_events else b"",
        *links,
        status,
        _FLAGS_OF_A_CALLER if of_caller else _FLAGS_OF_OURS,
    ))  # fmt: skip
    return _field(b"\x12", body)


@lru_cache(maxsize=4096, typed=True)
def attribute(key: str, value: Value, field: bytes = OF_SPAN) -> bytes:
    """One attribute; remembered, so for values that come again."""
    return fresh(key, value, field)


def fresh(key: str, value: Value, field: bytes = OF_SPAN) -> bytes:
    """One attribute whose value hardly comes again, such as a path."""
    body = _named(b"\x0a", key) + _field(b"\x12", _any(value))
    return _field(field, body)


def event(name: str, at: int, attributes: Mapping[str, Value]) -> bytes:
    """What happened in the course of a span."""
    parts = (attribute(key, value, OF_EVENT) for key, value in attributes.items())
    return _field(b"\x5a", b"".join((_TIME(0x09, at), _named(b"\x12", name), *parts)))


def link(trace_id: str, span_id: str, attributes: Mapping[str, Value]) -> bytes:
    """Another span that this one has to do with."""
    parts = (attribute(key, value, OF_LINK) for key, value in attributes.items())
    ids = b"\x0a\x10" + bytes.fromhex(trace_id) + b"\x12\x08" + bytes.fromhex(span_id)
    return _field(b"\x6a", b"".join((ids, *parts)))


FAILED: Final = b"\x7a\x02\x18\x02"
"""The status of a span that failed."""


def resource(attributes: Mapping[str, Value], scope: str) -> tuple[bytes, bytes]:
    """Who sends, and by which instrument: what stands before all spans of a request."""
    of_resource = b"".join(fresh(key, value, OF_RESOURCE) for key, value in attributes.items())
    return _field(b"\x0a", of_resource), _field(b"\x0a", _text(b"\x0a", scope))


def request(sender: tuple[bytes, bytes], spans: Iterable[bytes]) -> bytes:
    """The body of a request that brings these spans."""
    of_resource, of_scope = sender
    return _field(b"\x0a", of_resource + _field(b"\x12", b"".join((of_scope, *spans))))


def _any(value: Value) -> bytes:
    match value:
        case str():
            return _text(b"\x0a", value)
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int():
            return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        case float():
            return _DOUBLE(0x21, value)


def _text(field: bytes, text: str) -> bytes:
    return _field(field, text[:LONGEST].encode("utf-8", "replace"))


_named = lru_cache(maxsize=2048)(_text)


def _field(field: bytes, body: bytes) -> bytes:
    size = len(body)
    return field + (_SHORT[size] if size < _SHORT_ENDS else _varint(size)) + body


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >= _MORE:
        parts.append(number & 0x7F | _MORE)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_MORE: Final = 0x80
"""Says that the number goes on."""
_SHORT_ENDS: Final = 2048
_SHORT: Final = tuple(_varint(number) for number in range(_SHORT_ENDS))
"""The lengths that nearly everything has."""
