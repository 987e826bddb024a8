"""The journal: what happens to the calls, in lines that people can read while it happens."""

import logging
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from bookstore.resilience import Event

logger = logging.getLogger(__name__)

KEPT: Final = 2000
"""Lines that are remembered."""

_TURNS: Final = {
    "open": "Circuit opened",
    "forced_open": "Circuit opened by hand",
    "half_open": "Circuit half-open",
    "closed": "Circuit closed",
}
_url: ContextVar[str] = ContextVar("url", default="")


@contextmanager
def asked_for(url: str) -> Generator[None]:
    """What happens in this block happens to a call of this URL."""
    token = _url.set(url)
    try:
        yield
    finally:
        _url.reset(token)


class Journal:
    """A sink for a pipeline's events. It holds the last lines, and two facts about the circuit."""

    def __init__(self, say: Callable[[str], object] = logger.info) -> None:
        self._say = say
        self._lines: deque[str] = deque(maxlen=KEPT)
        self.failures_in_a_row = 0
        self.opened_at: datetime | None = None

    @property
    def text(self) -> str:
        """The last lines, the oldest first."""
        return "".join(f"{line}\n" for line in self._lines)

    def __call__(self, event: Event) -> None:
        """Take an event of a policy."""
        match event.kind:
            case "transition":
                self._turned(event.detail["to"])
            case "attempt":
                self._tried(event.verdict)
            case "timeout":
                self._write(f"Timeout on {_url.get()} after {event.elapsed:.1f} s (try {event.attempt})")
            case "retry":
                self._write(f"Retry of {_url.get()} in {event.detail['delay']:.1f} s")
            case "fallback":
                self._write(f"Fallback for {_url.get()}: {event.detail['error']}")
            case _:
                pass

    def http_error(self, url: str, why: str) -> None:
        """A try was answered with an error, or not at all."""
        self._write(f"HTTP error on {url}: {why}")

    def _turned(self, state: str) -> None:
        opened = state in ("open", "forced_open")
        self.opened_at = datetime.now(UTC) if opened else None if state == "closed" else self.opened_at
        if state == "closed":
            self.failures_in_a_row = 0
        self._write(_TURNS.get(state, f"Circuit {state}"))

    def _tried(self, verdict: str | None) -> None:
        if verdict != "ignore":  # refused before it was made
            self.failures_in_a_row = self.failures_in_a_row + 1 if verdict == "fail" else 0

    def _write(self, line: str) -> None:
        self._lines.append(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {line}")
        self._say(line)
