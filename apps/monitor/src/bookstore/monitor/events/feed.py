"""Who reads the events. Each reader has a box of its own, which never holds more than it may.

Whoever reads slowly misses changes and traces, never the newest picture, and slows nobody: telling a reader
is putting something into its box. Whoever reads nothing at all for a while is cut off, and holds no place for
ever.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final, Self

import msgspec

from bookstore.contracts.monitor import Change, Picture, TraceSummary
from bookstore.service.problem import Problem

logger = logging.getLogger(__name__)

PACE: Final = 1.0
"""Seconds from one picture to the next."""
BOX: Final = 100
"""Changes that wait for one reader."""
TRACE_BYTES: Final = 262_144
"""Bytes of news of traces that wait for one reader."""
STALLED: Final = 30.0
"""Seconds for which a reader may take nothing."""

_RETRY_AFTER: Final = "5"
_encode = msgspec.json.Encoder().encode


class TooManyReaders(Problem):
    """As many read as the monitor allows."""

    def __init__(self, most: int) -> None:
        super().__init__(
            503,
            "too-many-readers",
            f"{most} read the events already, and there are no more places; try again later",
            headers={"Retry-After": _RETRY_AFTER},
        )


class Reader:
    """One who reads: what is new for it since it last took something."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        """Set when there is something to take."""
        self._picture = b""
        self._traces: deque[bytes] = deque()
        self._changes: deque[bytes] = deque(maxlen=BOX)
        self._missed = 0
        self._since: float | None = None
        self._task: asyncio.Task[object] | None = None

    def begin(self) -> None:
        """From here on this very task is the one that passes on what is taken, and that can be cut off."""
        self._task = asyncio.current_task()

    def tell(self, change: bytes) -> None:
        """Put a change into the box; if it is full, the oldest is lost, which is told as well."""
        self._missed += len(self._changes) == BOX
        self._changes.append(change)
        self._wake()

    def show(self, picture: bytes) -> None:
        """Put a picture into the box, in the place of the one before."""
        self._picture = picture
        self._wake()

    def mention(self, traces: bytes) -> None:
        """Put news of traces into the box; of too many the oldest are lost, for the list has them all."""
        self._traces.append(traces)
        while sum(map(len, self._traces)) > TRACE_BYTES and len(self._traces) > 1:
            self._traces.popleft()
        self._wake()

    def take(self) -> bytes:
        """All that is new."""
        missed = b"event: missed\ndata: %d\n\n" % self._missed if self._missed else b""
        taken = b"".join((missed, *self._changes, self._picture, *self._traces))
        self._changes.clear()
        self._traces.clear()
        self._picture, self._missed, self._since = b"", 0, None
        self.news.clear()
        return taken

    def has_stalled(self, now: float) -> bool:
        """Whether something has waited in the box for too long."""
        return self._since is not None and now - self._since > STALLED

    def cut(self) -> None:
        """End it: whoever it is doesn't read, and may be gone long since."""
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        if self._since is None:
            self._since = monotonic()
        self.news.set()


class Feed:
    """Tells all readers of every change, and once a second how everything is, while held open.

    Args:
        paint: Gives the picture; asked only while somebody reads.
        traces: Gives what is new of traces; likewise.
        most: How many may read at a time.
    """

    def __init__(
        self, paint: Callable[[], Picture], *, traces: Callable[[], Sequence[TraceSummary]], most: int
    ) -> None:
        self._paint = paint
        self._traces = traces
        self._most = most
        self._readers: set[Reader] = set()
        self._somebody = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def reading(self) -> int:
        """How many read."""
        return len(self._readers)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_painting())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @contextmanager
    def reader(self) -> Generator[Reader]:
        """A place among the readers, for as long as the block runs.

        Raises:
            TooManyReaders: if there is none.
        """
        if len(self._readers) >= self._most:
            raise TooManyReaders(self._most)
        reader = Reader()
        self._readers.add(reader)
        self._somebody.set()
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def change(self, change: Change) -> None:
        """Tell all of a change."""
        told = written(change)
        for reader in self._readers:
            reader.tell(told)

    async def _keep_painting(self) -> None:
        while True:
            await self._somebody.wait()
            try:
                picture = b"event: picture\ndata: %b\n\n" % _encode(self._paint())
                traces = self._traces()
            except Exception:
                logger.exception("the picture could not be painted")
            else:
                self._show(picture, b"event: traces\ndata: %b\n\n" % _encode(traces) if traces else b"")
            await asyncio.sleep(PACE)
            if not self._readers:
                self._somebody.clear()

    def _show(self, picture: bytes, traces: bytes) -> None:
        now = monotonic()
        for reader in [*self._readers]:
            if reader.has_stalled(now):
                logger.warning("a reader of events takes nothing and is cut off")
                reader.cut()
            else:
                reader.show(picture)
                if traces:
                    reader.mention(traces)


def written(change: Change) -> bytes:
    """A change as an event, whose id a reader may come back with."""
    return b"id: %b\nevent: change\ndata: %b\n\n" % (change.id.encode(), _encode(change))
