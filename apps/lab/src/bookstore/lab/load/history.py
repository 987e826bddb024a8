"""The client's history: what was sent and what came of it, written by the generator as it happens.

One JSON line when a request is due and sent, one when it is over. If the generator dies, requests without a
second line are those of which nobody knows what became. Times are seconds of the machine's monotonic clock,
which all its processes share, so that faults and requests stand on one axis.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Literal, Self

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

Outcome = Literal["ok", "refused", "unknown"]
"""`ok`: an answer below 500. `refused`: a 5xx, or nobody to talk to. `unknown`: it may have happened."""

SERVER_ERROR = 500


class Sent(msgspec.Struct, tag="sent", tag_field="kind", kw_only=True):
    """A request went out."""

    number: int
    op: str
    due: float
    """When it was scheduled; the latency counts from here."""
    sent: float
    """When it really went out; later than `due` by the generator's own lag."""


class Done(msgspec.Struct, tag="done", tag_field="kind", kw_only=True, omit_defaults=True):
    """A request is over."""

    number: int
    done: float
    status: int = 0
    order: int = 0
    error: str = ""


class Dropped(msgspec.Struct, tag="dropped", tag_field="kind", kw_only=True):
    """A request was due, and wasn't sent because too many were under way."""

    number: int


class Request(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request, both lines together."""

    number: int
    op: str
    due: float
    sent: float
    done: float | None = None
    status: int = 0
    order: int = 0
    error: str = ""

    @property
    def latency(self) -> float | None:
        """Seconds from the scheduled start to the end; None if it never ended."""
        return None if self.done is None else self.done - self.due

    @property
    def lag(self) -> float:
        """Seconds by which the generator itself was late."""
        return self.sent - self.due

    @property
    def outcome(self) -> Outcome:
        """What the client knows of it."""
        if self.status:
            return "ok" if self.status < SERVER_ERROR else "refused"
        return "refused" if self.error == "RefusedError" else "unknown"


class Writer:
    """Appends to a history."""

    def __init__(self, path: Path) -> None:
        self._encoder = msgspec.json.Encoder()
        self._file: IO[bytes] = path.open("wb", buffering=0)  # a generator that is killed has told all

    def write(self, line: Sent | Done | Dropped) -> None:
        """Append one line."""
        self._file.write(self._encoder.encode(line) + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read(path: Path) -> list[Request]:
    """All requests of a history, in the order in which they were sent; a torn last line is left out."""
    decoder = msgspec.json.Decoder(Sent | Done | Dropped)
    requests: dict[int, Request] = {}
    for text in path.read_bytes().splitlines():
        try:
            line = decoder.decode(text)
        except msgspec.DecodeError:
            continue
        if isinstance(line, Sent):
            requests[line.number] = Request(number=line.number, op=line.op, due=line.due, sent=line.sent)
        elif isinstance(line, Done) and (request := requests.get(line.number)) is not None:
            request.done, request.status = line.done, line.status
            request.order, request.error = line.order, line.error
    return list(requests.values())


def dropped(path: Path) -> int:
    """How many requests were due and not sent."""
    return path.read_bytes().count(b'"kind":"dropped"')
