"""The survey: asks every service for its metrics once a second, while somebody wants to know, and not else.

A service that doesn't answer costs nobody anything: each has a task of its own, and what is known of it grows
old. The text is asked for on a connection that is kept.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Self
from urllib.parse import urlencode

from bookstore.contracts.reading import reader
from bookstore.contracts.supplier import CurrentMode
from bookstore.monitor.health.targets import Target
from bookstore.monitor.survey.exposition import NAMES, Reading, read
from bookstore.monitor.survey.flow import Flow
from bookstore.monitor.survey.promises import Ledger
from bookstore.service.context import new_span_id, new_trace_id
from bookstore.service.upstream import ConnectFailed, Header, Upstream, UpstreamError

logger = logging.getLogger(__name__)

PACE: Final = 1.0
"""Seconds from one question to the next."""
KEPT_UP: Final = 10.0
"""Seconds for which the questions go on after somebody wanted to know."""
CONTROL: Final = "supplier-control"
"""The service that tells of a failure that was switched on."""

_METRICS: Final = "/metrics?" + urlencode([("name[]", name) for name in sorted(NAMES)])
"""Only what is looked at, which is half of what a service has to tell; who can't choose tells it all."""
_PATIENCE: Final = 1.0
_LONGEST: Final = 4_194_304
_OK: Final = 200
_mode = reader(CurrentMode)


def untraced() -> list[Header]:
    """Headers that say of a question that it is nothing to record: it comes each second."""
    return [(b"traceparent", f"00-{new_trace_id()}-{new_span_id()}-00".encode())]


class Survey:
    """Asks those of these targets that speak HTTP, while it is held open with `async with`.

    Args:
        targets: Whom to ask.
        told_mode: Told how the supplier fails, or that it doesn't.
        reached: Told whether a target takes connections.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        told_mode: Callable[[CurrentMode], object],
        reached: Callable[[Target, bool], object],
    ) -> None:
        self._targets = [target for target in targets if not target.is_store]
        self._upstreams = {
            target.instance: Upstream(
                target.url, timeout=_PATIENCE, max_connections=2, max_answer=_LONGEST, context=untraced
            )
            for target in self._targets
        }
        self._flows = {target.instance: Flow() for target in self._targets}
        self._failed: dict[tuple[str, str], datetime] = {}
        self._told_mode = told_mode
        self._reached = reached
        self.ledger = Ledger()
        """How promises are kept."""
        self._wanted_at = 0.0
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._keep_asking(target)) for target in self._targets]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with AsyncExitStack() as stack:
            for upstream in self._upstreams.values():
                stack.push_async_callback(upstream.aclose)

    def want(self) -> None:
        """Somebody wants to know: ask, and go on for a while."""
        self._wanted_at = monotonic()
        self._wanted.set()

    async def wanted(self) -> None:
        """The same; if nothing is known yet, it is when this returns, of those who answer in time."""
        if not any(flow.is_fresh(monotonic()) for flow in self._flows.values()):
            await asyncio.gather(*map(self._try, self._targets))
        self.want()

    def flows(self) -> Mapping[str, Mapping[str, Flow]]:
        """What is known of each service's processes, of those of which something is known now."""
        now = monotonic()
        found: dict[str, dict[str, Flow]] = {}
        for target in self._targets:
            if (flow := self._flows[target.instance]).is_fresh(now):
                found.setdefault(target.service, {})[target.instance] = flow
        return found

    def last_failure(self, instance: str, dependency: str) -> datetime | None:
        """When a process was last seen to fail in calling another service."""
        return self._failed.get((instance, dependency))

    async def _keep_asking(self, target: Target) -> None:
        while True:
            await self._wanted.wait()
            began = monotonic()
            await self._try(target)
            await asyncio.sleep(max(0.0, began + PACE - monotonic()))
            if monotonic() - self._wanted_at > KEPT_UP:
                self._wanted.clear()

    async def _try(self, target: Target) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ask(target)
            self._reached(target, True)
        except ConnectFailed:
            self._reached(target, False)
        except (TimeoutError, UpstreamError):
            pass  # what is known grows old, and the watch says why
        except Exception as error:  # noqa: BLE001 - whatever an answer does to us, the survey goes on
            logger.warning(
                "an answer was not understood", extra={"target": target.instance, "cause": repr(error)}
            )

    async def _ask(self, target: Target) -> None:
        upstream = self._upstreams[target.instance]
        if target.service == CONTROL:
            answer = await upstream.request("GET", "/get_failure_mode")
            if answer.status == _OK:
                self._told_mode(_mode(answer.body))
            return
        answer = await upstream.request("GET", _METRICS)
        if answer.status == _OK:
            self._take(target, read(answer.body.decode("utf-8", "replace"), monotonic()))

    def _take(self, target: Target, reading: Reading) -> None:
        flow = self._flows[target.instance]
        before = flow.last.counts if flow.last else reading.counts
        for key, count in reading.counts.items():
            if key[0] == "calls" and key[-1] == "fail" and count > before.get(key, 0.0):
                self._failed[target.instance, key[1]] = datetime.now(UTC)
        flow.add(reading)
        self.ledger.take(target.service, target.instance, reading)
