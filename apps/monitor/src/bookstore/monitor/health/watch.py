"""The watch: each target is looked at by a task of its own, so none waits for another.

All of it is in memory. A monitor that starts again knows nothing until it has looked, and says so.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Self

from bookstore.contracts.health import QueueHealth
from bookstore.contracts.monitor import Change, HealthStatus, InstanceHealth
from bookstore.monitor.health.model import (
    ALIVE_BUT_LATE,
    BROKEN,
    LATE,
    SILENT,
    Finding,
    Judgement,
    in_time,
    together,
)
from bookstore.monitor.health.probes import Probe, probe_of
from bookstore.monitor.health.targets import Target

logger = logging.getLogger(__name__)

KEPT: Final = 1000
"""Changes that are remembered."""

HURRY: Final = 1.0
"""Seconds from one look to the next, at the least, where there is reason to look again."""

Teller = Callable[[Change], object]


class Watch:
    """Looks at all targets while it is held open with `async with`.

    Args:
        targets: Whom to look at.
        interval: Seconds from one look to the next.
        slow: Seconds after which an answer is late, which is told while it is still waited for.
        patience: Seconds after which none is expected any more.
        seen: Told of each finding.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        interval: float,
        slow: float,
        patience: float,
        seen: Callable[[Target, Finding], object] = lambda _target, _finding: None,
    ) -> None:
        self.targets = targets
        self.interval = interval
        self._slow = min(slow, patience)
        self._patience = patience
        self._seen = seen
        self._probes = {target.instance: probe_of(target, patience) for target in targets}
        self._findings: dict[str, Finding] = {}
        self._since: dict[str, datetime] = {}
        self._changes: deque[Change] = deque(maxlen=KEPT)
        self._run = secrets.token_hex(4)
        self._counted = 0
        self._needs: dict[str, set[str]] = {}
        self._tellers: list[Teller] = []
        self._hurry = {target.instance: asyncio.Event() for target in targets}
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, teller: Teller) -> None:
        """Tell this one of every change from now on."""
        self._tellers.append(teller)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._keep_looking(target)) for target in self.targets]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(probe.aclose() for probe in self._probes.values()))

    def heard(self, target: Target, *, reachable: bool) -> None:
        """Somebody knows now whether a target takes connections: where that is news, look at once."""
        if self._status(target) is not None and reachable == (self._status(target) == "DOWN"):
            self._hurry[target.instance].set()

    @property
    def is_whole(self) -> bool:
        """Whether every target has been looked at once."""
        return len(self._findings) == len(self.targets)

    def status(self) -> HealthStatus:
        """Every service, by how its instances are."""
        services: dict[str, list[tuple[str, Finding]]] = {}
        for target in self.targets:
            if (finding := self._findings.get(target.instance)) is not None:
                services.setdefault(target.service, []).append((target.instance, finding))
        return HealthStatus(
            timestamp=datetime.now(UTC),
            services={name: together(findings) for name, findings in services.items()},
        )

    def instances(self) -> list[InstanceHealth]:
        """Every instance that has been looked at."""
        return [
            InstanceHealth(
                service=target.service,
                instance=target.instance,
                status=finding.judgement.status,
                response_time_ms=None if finding.seconds is None else round(finding.seconds * 1000, 3),
                checked_at=finding.at,
                since=self._since[target.instance],
                detail=finding.judgement.detail,
            )
            for target in self.targets
            if (finding := self._findings.get(target.instance)) is not None
        ]

    def queue(self) -> QueueHealth | None:
        """What is owed, as a service of those that owe something told last."""
        told = (finding.judgement.queue for finding in self._findings.values())
        return next((queue for queue in told if queue is not None), None)

    def needs(self) -> dict[str, set[str]]:
        """What each service has said that it needs, when it last said anything."""
        return self._needs

    def history(self, service: str | None = None, limit: int = KEPT) -> list[Change]:
        """The last changes, the newest first."""
        found: Iterable[Change] = (
            change for change in reversed(self._changes) if service in (None, change.service)
        )
        return [change for change, _ in zip(found, range(limit), strict=False)]

    def after(self, last: str) -> list[Change]:
        """The changes after the one of that id, the oldest first; none if it isn't known any more."""
        known = [change.id for change in self._changes]
        return [*self._changes][known.index(last) + 1 :] if last in known else []

    async def _keep_looking(self, target: Target) -> None:
        probe, share = self._probes[target.instance], (self.targets.index(target) + 1) / len(self.targets)
        while True:
            began = monotonic()
            try:
                judgement, seconds = await self._look(target, probe)
            except Exception as error:  # noqa: BLE001 - whatever an answer does to us, the watch goes on
                logger.warning(
                    "an answer was not understood", extra={"target": target.instance, "cause": repr(error)}
                )
                judgement, seconds = BROKEN, None
            self._note(target, judgement, seconds)
            # All begin at once, and then spread out: together they would wait for one another's processor.
            await self._pause(target, began, self.interval * share)
            share = 1.0

    async def _pause(self, target: Target, began: float, seconds: float) -> None:
        """Wait for the time of the next look; less, if there is news, but a second at the least."""
        news = self._hurry[target.instance]
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, began + seconds - monotonic())):
                await news.wait()
        news.clear()
        await asyncio.sleep(max(0.0, began + min(seconds, HURRY) - monotonic()))

    async def _look(self, target: Target, probe: Probe) -> tuple[Judgement, float | None]:
        """One look. What is late is told at once, and given up when `patience` is at its end.

        Whether somebody who is late is alive at all is asked meanwhile, so that it is known in the end.
        """
        began = monotonic()
        asked = asyncio.ensure_future(probe.look())
        alive: asyncio.Future[bool] | None = None
        try:
            done, _ = await asyncio.wait({asked}, timeout=self._slow)
            if not done:
                alive = asyncio.ensure_future(probe.is_alive())
                if self._status(target) in (None, "HEALTHY"):
                    self._note(target, LATE, monotonic() - began)
                done, _ = await asyncio.wait({asked}, timeout=began + self._patience - monotonic())
            seconds = monotonic() - began
            if done:
                judgement = asked.result()
                return in_time(
                    judgement, seconds, self._slow
                ), None if judgement.status == "DOWN" else seconds
            answered = alive is not None and alive.done() and alive.result()
            return (ALIVE_BUT_LATE, seconds) if answered else (SILENT, None)
        finally:
            for task in (asked, alive):
                if task is not None:
                    task.cancel()

    def _status(self, target: Target) -> str | None:
        finding = self._findings.get(target.instance)
        return finding.judgement.status if finding else None

    def _note(self, target: Target, judgement: Judgement, seconds: float | None) -> None:
        finding = Finding(judgement, datetime.now(UTC), seconds)
        before = self._findings.get(target.instance)
        self._findings[target.instance] = finding
        if judgement.needs:
            self._needs[target.service] = {*judgement.needs}
        self._seen(target, finding)
        if before is not None and before.judgement.status == judgement.status:
            return
        self._since[target.instance] = finding.at
        self._counted += 1
        change = Change(
            id=f"{self._run}-{self._counted}",
            service=target.service,
            instance=target.instance,
            before=before.judgement.status if before else None,
            after=judgement.status,
            at=finding.at,
            detail=judgement.detail,
        )
        self._changes.append(change)
        logger.info(
            "state has changed",
            extra={"target": target.instance, "state": judgement.status, "detail": judgement.detail},
        )
        for tell in self._tellers:
            tell(change)
