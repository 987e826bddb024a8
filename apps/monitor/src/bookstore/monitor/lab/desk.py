"""Asks the lab's desk. It is a tool that may be missing or dead: nothing here waits for it for long.

While somebody looks on, it is asked once a second what runs and which failures it has switched on.
"""

import asyncio
import logging
from time import monotonic
from typing import Any, Final, Self, TypeVar

import msgspec

from bookstore.contracts.faults import ActiveFaults, Fault
from bookstore.contracts.lab import Run, Runs
from bookstore.contracts.reading import reader
from bookstore.monitor.objection import objection
from bookstore.service.problem import Problem
from bookstore.service.upstream import Answer, Header, Upstream, UpstreamError

logger = logging.getLogger(__name__)

T = TypeVar("T")

PACE: Final = 1.0
KEPT_UP: Final = 10.0
FRESH: Final = 5.0
"""Seconds for which what the desk has told says how things are."""
_PATIENCE: Final = 2.0
GLANCE: Final = 0.7
"""Seconds for what is only shown: a desk that is frozen holds up no page."""
_LONGEST: Final = 8_388_608
"""Bytes: a report is a page with plots in it."""
_GOOD: Final = range(200, 300)
_encode = msgspec.json.Encoder().encode


class NoDesk(Problem):
    """This monitor knows no desk."""

    def __init__(self) -> None:
        super().__init__(503, "no-desk", "there is no lab here: `bookstore up` starts one")


class DeskUnavailable(Problem):
    """The desk doesn't answer; what was asked for may be done, or not."""

    def __init__(self) -> None:
        super().__init__(503, "desk-unavailable", "the lab's desk doesn't answer; look before you ask again")


class LabDesk:
    """Asks the desk, while it is held open with `async with`.

    Args:
        url: Where it answers; empty where there is none.
        secret: What it wants to be shown.
    """

    def __init__(self, url: str, secret: str) -> None:
        self._upstream = (
            Upstream(url, timeout=_PATIENCE, max_connections=8, max_answer=_LONGEST) if url else None
        )
        self._identity: list[Header] = [(b"authorization", b"Bearer " + secret.encode())] if secret else []
        self._known: tuple[float, list[Fault], Run | None] = (float("-inf"), [], None)
        self._wanted = asyncio.Event()
        self._wanted_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._upstream is not None:
            self._task = asyncio.create_task(self._keep_asking())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._upstream is not None:
            await self._upstream.aclose()

    @property
    def is_there(self) -> bool:
        """Whether this monitor knows a desk at all."""
        return self._upstream is not None

    def want(self) -> None:
        """Somebody looks on: ask, and go on for a while."""
        self._wanted_at = monotonic()
        self._wanted.set()

    def faults(self) -> list[Fault]:
        """The failures that it has switched on, as far as that is known now."""
        return self._known[1] if monotonic() - self._known[0] <= FRESH else []

    def run(self) -> Run | None:
        """What it runs, or ran last, as far as that is known now."""
        return self._known[2] if monotonic() - self._known[0] <= FRESH else None

    async def look(self) -> None:
        """Know how things are there; if it doesn't tell, what is known grows old."""
        try:
            faults, runs = await asyncio.gather(
                self.ask("GET", "/faults", ActiveFaults, patience=GLANCE),
                self.ask("GET", "/runs?limit=1", Runs, patience=GLANCE),
            )
        except Problem:
            return
        self._known = monotonic(), faults.data, next(iter(runs.data), None)

    async def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: msgspec.Struct | None = None,
        *,
        patience: float = _PATIENCE,
    ) -> T:
        """Ask for one thing, and give its answer.

        Raises:
            Problem: what the desk objects to, or 503 if there is none or it doesn't answer.
        """
        answer = await self._good(method, path, body, patience)
        try:
            return reader(kind)(answer.body)
        except ValueError as error:
            logger.warning("the desk was not understood", extra={"cause": repr(error)})
            raise DeskUnavailable from error

    async def tell(self, method: str, path: str) -> None:
        """Ask for something that has no answer.

        Raises:
            Problem: likewise.
        """
        await self._good(method, path)

    async def page(self, path: str) -> bytes:
        """A page of its own making.

        Raises:
            Problem: likewise.
        """
        return (await self._good("GET", path)).body

    async def _good(
        self, method: str, path: str, body: msgspec.Struct | None = None, patience: float = _PATIENCE
    ) -> Answer:
        if self._upstream is None:
            raise NoDesk
        headers: list[Header] = [*self._identity]
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        sent: Any = None if body is None else _encode(body)
        try:
            async with asyncio.timeout(patience):
                answer = await self._upstream.request(method, path, headers=headers, body=sent)
        except (TimeoutError, UpstreamError) as error:
            raise DeskUnavailable from error
        if answer.status not in _GOOD:
            raise _objection(answer)
        return answer

    async def _keep_asking(self) -> None:
        while True:
            await self._wanted.wait()
            began = monotonic()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever an answer does to us, the next one is asked for
                logger.warning("the desk was not understood", extra={"cause": repr(error)})
            await asyncio.sleep(max(0.0, began + PACE - monotonic()))
            if monotonic() - self._wanted_at > KEPT_UP:
                self._wanted.clear()


def _objection(answer: Answer) -> Problem:
    """What it objects to; that our secret isn't its secret is nothing that a caller can mend."""
    if answer.status in (401, 403):
        logger.error("the desk takes our secret for none", extra={"status": answer.status})
        return DeskUnavailable()
    if answer.status == 503:  # noqa: PLR2004 - such as a way that has no proxy
        passed = objection(Answer(422, answer.headers, answer.body), DeskUnavailable())
        return passed if isinstance(passed, DeskUnavailable) else Problem(503, passed.slug, passed.detail)
    return objection(answer, DeskUnavailable())
