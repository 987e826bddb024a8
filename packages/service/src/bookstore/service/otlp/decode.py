"""The spans of an OTLP request (protobuf), for whoever receives them: tests, a console.

    for span in decode(body): print(span.service, span.name, span.parent_id)

Fields that nobody here needs are passed over, as are those that a later version of the protocol adds.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Wire: TypeAlias = int | bytes
Attributes: TypeAlias = dict[str, Any]

KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES: Final = ("UNSET", "OK", "ERROR")
_LONGEST_VARINT: Final = 70
_DEEPEST: Final = 16


class Malformed(ValueError):
    """The bytes are no OTLP."""


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """What happened in the course of a span; `time` is in nanoseconds of the epoch."""

    name: str
    time: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedLink:
    """Another span that one has to do with."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span; ids are hexadecimal, a root's `parent_id` is empty, times are nanoseconds of the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    started: int
    ended: int
    attributes: Attributes
    events: list[ReceivedEvent]
    links: list[ReceivedLink]
    status: str
    tracestate: str
    resource: Attributes = field(repr=False)
    """Who sent it."""

    @property
    def service(self) -> str:
        """The name of the service that sent it."""
        return str(self.resource.get("service.name", ""))


def decode(body: bytes) -> list[ReceivedSpan]:
    """All spans of one request.

    Raises:
        Malformed: if it isn't an ExportTraceServiceRequest.
    """
    try:
        return list(_spans(body))
    except (IndexError, struct.error, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise Malformed(str(error)) from error


def _spans(body: bytes) -> Iterator[ReceivedSpan]:
    for of_resource in _all(body, 1):
        resource: Attributes = {}
        for each in _all(of_resource, 1):
            resource |= _attributes(each, 1)
        for of_scope in _all(of_resource, 2):
            for span in _all(of_scope, 2):
                yield _span(span, resource)


def _span(body: bytes, resource: Attributes) -> ReceivedSpan:
    one: dict[int, Any] = dict(_fields(body))  # the last of each: all that is asked for here comes once
    status: dict[int, Any] = dict(_fields(one.get(15, b"")))
    return ReceivedSpan(
        trace_id=one.get(1, b"").hex(),
        span_id=one.get(2, b"").hex(),
        tracestate=one.get(3, b"").decode(),
        parent_id=one.get(4, b"").hex(),
        name=one.get(5, b"").decode(),
        kind=KINDS[int(one.get(6, 0))],
        started=one.get(7, 0),
        ended=one.get(8, 0),
        attributes=_attributes(body, 9),
        events=[_event(each) for each in _all(body, 11)],
        links=[_link(each) for each in _all(body, 13)],
        status=_STATUSES[int(status.get(3, 0))],
        resource=resource,
    )


def _event(body: bytes) -> ReceivedEvent:
    one = dict(_fields(body))
    return ReceivedEvent(one.get(2, b"").decode(), one.get(1, 0), _attributes(body, 3))


def _link(body: bytes) -> ReceivedLink:
    one = dict(_fields(body))
    return ReceivedLink(one.get(1, b"").hex(), one.get(2, b"").hex(), _attributes(body, 4))


def _attributes(body: bytes, number: int, depth: int = 0) -> Attributes:
    found: Attributes = {}
    for each in _all(body, number):
        one = dict(_fields(each))
        found[one.get(1, b"").decode()] = _value(one.get(2, b""), depth)
    return found


def _value(body: bytes, depth: int) -> Any:
    if depth > _DEEPEST:
        raise Malformed("values within values within values")
    value: Any = None
    for number, raw in _fields(body):
        match number:
            case 1:
                value = raw.decode()
            case 2:
                value = bool(raw)
            case 3:
                value = raw - (1 << 64) if raw >> 63 else raw
            case 4:
                (value,) = struct.unpack("<d", raw.to_bytes(8, "little"))
            case 5:
                value = [_value(each, depth + 1) for each in _all(raw, 1)]
            case 6:
                value = _attributes(raw, 1, depth + 1)
            case 7:
                value = raw
            case _:
                pass
    return value


def _all(body: bytes, number: int) -> Iterator[bytes]:
    return (value for found, value in _fields(body) if found == number)


def _fields(body: bytes) -> Iterator[tuple[int, Any]]:
    """Each field's number and what it holds: a number, or bytes."""
    at, end = 0, len(body)
    while at < end:
        tag, at = _varint(body, at)
        value: Wire
        match tag & 7:
            case 0:
                value, at = _varint(body, at)
            case 1:
                value, at = _fixed(body, at, 8)
            case 2:
                length, at = _varint(body, at)
                value, at = body[at : at + length], at + length
            case 5:
                value, at = _fixed(body, at, 4)
            case kind:
                raise Malformed(f"a field of kind {kind}")
        if at > end:
            raise Malformed("it ends in the middle of a field")
        yield tag >> 3, value


def _fixed(body: bytes, at: int, size: int) -> tuple[int, int]:
    return int.from_bytes(body[at : at + size], "little"), at + size


def _varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more comes
            return number, at
        shift += 7
        if shift >= _LONGEST_VARINT:
            raise Malformed("a number without an end")
