"""One target of a service: its connections, and whether it is well."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from time import monotonic
from typing import Literal

from bookstore.gateway.config import model
from bookstore.service.upstream import ConnectFailed, Upstream, UpstreamError

State = Literal["unknown", "up", "down"]
Verdict = Literal["well", "ill", "refused"]

_LONGEST_ANSWER = 65_536
_PATIENCE = 1.0
"""Seconds that a target has to say how it is."""
_GOOD = range(200, 300)
_STARTING, _SOON = 30.0, 0.2
"""Seconds for which one that was never up may be just starting, and after which it is asked again then."""

logger = logging.getLogger(__name__)


class Wellness:
    """What is known of a target's health.

    The first answer decides at once, and so does the first good one: whoever has never been up is just
    starting. After that it goes by rise and fall.
    """

    __slots__ = ("_streak", "proven", "refused", "state")

    def __init__(self) -> None:
        self.state: State = "unknown"
        self.refused = False
        """Whether nobody listens there: then no request can do any good."""
        self._streak = 0
        self.proven = False
        """Whether it has ever been up."""

    def copy(self) -> "Wellness":
        """The same knowledge, for another who goes on from there."""
        other = Wellness()
        other.state, other.refused = self.state, self.refused
        other._streak, other.proven = self._streak, self.proven
        return other

    def hear(self, verdict: Verdict, rule: model.Health) -> bool:
        """Take in one answer; whether that changes anything."""
        before = self.state, self.refused
        well = verdict == "well"
        if self.state == "unknown" or (well and not self.proven):
            self.state, self._streak, self.proven = ("up" if well else "down"), 0, well
        elif well == (self.state == "up"):
            self._streak = 0
        else:
            self._streak += 1
            if self._streak >= (rule.rise if well else rule.fall):
                self.state, self._streak = ("up" if well else "down"), 0
        self.refused = verdict == "refused" and self.state == "down"
        return before != (self.state, self.refused)


class Member:
    """One target. `tell` is called when its state has changed."""

    def __init__(self, target: model.Target, rule: model.Upstream, tell: Callable[[], None]) -> None:
        self.url = target.url
        self.address = target.url.encode()
        self.target = target
        self.wellness = Wellness()
        self.draining = False
        self.in_flight = 0
        self.asked_at: float | None = None
        """When its health was last asked, on the monotonic clock."""
        self.client = Upstream(target.url, max_connections=rule.max_in_flight)
        self._tell = tell
        self._rule = rule.health
        self._asker = Upstream(target.url, max_connections=1, max_answer=_LONGEST_ANSWER)
        self._hurry = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()

    def adapt(self, target: model.Target, rule: model.Health) -> None:
        """Go by a new file from now on; how it is stays known."""
        self.target = target
        self._rule = rule

    def start(self) -> None:
        """Ask at once, and then again and again."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_asking())

    def unreachable(self) -> None:
        """A request found nobody there: that counts, and is looked into at once."""
        if self.wellness.state != "down":
            self._hear("refused")
            self._hurry.set()

    def enter(self) -> None:
        """A request is on its way there."""
        self.in_flight += 1

    def leave(self) -> None:
        """It is over."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    async def retire(self) -> None:
        """Stop asking; close when the last request is over."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        await self._asker.aclose()
        while self.in_flight:
            self._idle.clear()
            await self._idle.wait()
        await self.client.aclose()

    async def aclose(self) -> None:
        """Close at once."""
        self.in_flight = 0
        await self.retire()

    async def _keep_asking(self) -> None:
        started = monotonic()
        while True:
            try:
                self._hear(await self._ask())
            except Exception:
                # Whatever goes wrong with one question, the next one is asked.
                logger.exception("a health check failed by itself", extra={"target": self.url})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(monotonic() - started)):
                    await self._hurry.wait()
            self._hurry.clear()

    def _pause(self, watched: float) -> float:
        """Seconds until the next question, of one that is watched for so long."""
        if self.wellness.proven or watched > _STARTING:
            return self._rule.interval
        return min(_SOON, self._rule.interval)

    async def _ask(self) -> Verdict:
        self.asked_at = monotonic()
        patience = min(_PATIENCE, self._rule.interval)
        try:
            answer = await self._asker.request("GET", self._rule.path, timeout=patience)
        except ConnectFailed:
            return "refused"
        except UpstreamError:
            return "ill"
        return "well" if answer.status in _GOOD else "ill"

    def _hear(self, verdict: Verdict) -> None:
        before = self.wellness.state
        if self.wellness.hear(verdict, self._rule):
            if self.wellness.state != before:
                level = logging.WARNING if self.wellness.state == "down" else logging.INFO
                logger.log(level, "a target is %s", self.wellness.state, extra={"target": self.url})
            self._tell()
