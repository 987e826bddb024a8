"""The desk's log: one JSON line an event on standard output, as the apps write theirs.

Who asked for something is told by the ids of the request: the monitor's line has the same, and the number of
the person. An address is for nobody who reads logs.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_ids: Final[ContextVar[Mapping[str, str]]] = ContextVar("ids")


@contextmanager
def asked(headers: Mapping[str, str]) -> Iterator[None]:
    """What is logged in this block belongs to the request with these headers, as far as they are sane."""
    ids: dict[str, str] = {}
    if _REQUEST_ID.fullmatch(request_id := headers.get("x-request-id", "")):
        ids["request_id"] = request_id
    if of_trace := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
        ids["trace_id"], ids["span_id"] = of_trace.groups()
    token = _ids.set(ids)
    try:
        yield
    finally:
        _ids.reset(token)


def log(message: str) -> None:
    """Write a line."""
    line = {
        "timestamp": datetime.now(UTC),
        "level": "INFO",
        "service": "desk",
        "instance": os.environ.get("INSTANCE", "desk"),
        "logger": "bookstore.lab.desk",
        "message": message,
        **_ids.get({}),
    }
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
