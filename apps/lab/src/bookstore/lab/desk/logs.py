"""What all processes have logged about one trace: the ends of their logs, read when somebody asks."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from bookstore.contracts.lab import LogLine
from bookstore.lab.desk.refused import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 4 * 1024 * 1024
"""Of each log, from its end."""
MOST_LINES = 200
LONGEST = 2_000
TRACE = re.compile(r"[0-9a-f]{32}")
TOLD = ("timestamp", "service", "instance", "level", "message", "trace_id")
"""What stands in a field of its own, or is known."""


def lines_of(logs: Path, trace_id: str) -> list[LogLine]:
    """The newest lines of a trace, in the order of time.

    Raises:
        RefusedError: that is no identity of a trace.
    """
    if TRACE.fullmatch(trace_id) is None:
        raise RefusedError(422, "invalid", "A trace's identity has 32 digits from 0 to f.")
    found = [
        line
        for path in sorted(logs.glob("*.log"))
        for text in _end(path).splitlines()
        if trace_id.encode() in text and (line := _line(path.stem, text, trace_id)) is not None
    ]
    return sorted(found, key=lambda line: line.at)[-MOST_LINES:]


def _end(path: Path) -> bytes:
    """The end of a file, perhaps with a half line at its beginning."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - MOST_BYTES))
        return file.read(MOST_BYTES)


def _line(instance: str, text: bytes, trace_id: str) -> LogLine | None:
    """A line, if it is one of ours and about that trace."""
    try:
        said = cast("dict[str, Any]", json.loads(text))
        if said["trace_id"] != trace_id:
            return None
        at = datetime.fromisoformat(said["timestamp"])
    except (ValueError, LookupError, TypeError):
        return None
    return LogLine(
        at=at,
        service=_text(said.get("service", "")),
        instance=instance,
        level=_text(said.get("level", "")),
        message=_text(said.get("message", "")),
        more={str(name)[:LONGEST]: _text(value) for name, value in said.items() if name not in TOLD},
    )


def _text(value: object) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:LONGEST]
