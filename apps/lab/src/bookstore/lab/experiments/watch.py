"""Looks on while an experiment runs: how each part feels, what was to be watched, what the monitor says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire, settle
from bookstore.lab.system.status import take_status

if TYPE_CHECKING:
    from bookstore.lab.experiments.bench import Bench
    from bookstore.lab.experiments.evidence import Samples, States

EVERY = 0.25
STATES_EVERY = 1.0


def sample(text: str, name: str) -> float | None:
    """The value of one sample in a page of metrics, by its name and labels as they are written there."""
    for line in text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return None


@dataclass
class Watch:
    """What was seen."""

    bench: Bench
    wanted: dict[str, tuple[str, str]]
    metrics: dict[str, Samples] = field(default_factory=dict[str, "Samples"])
    states: dict[str, States] = field(default_factory=dict[str, "States"])
    monitor: dict[str, States] | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def is_well(self, service: str) -> bool:
        """Whether that is the monitor's last word on a service."""
        said = (self.monitor or {}).get(service)
        return bool(said) and said[-1][1] == "HEALTHY"

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._look_at_states())]
        for name, (service, metric) in self.wanted.items():
            self._tasks.append(asyncio.create_task(self._look_at(name, service, metric)))
        if any(row.name == "monitor" for row in self.bench.rows):
            self.monitor = {}
            self._tasks.append(asyncio.create_task(self._ask_the_monitor(self.monitor)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await settle(*self._tasks)

    async def _look_at(self, name: str, service: str, metric: str) -> None:
        seen = self.metrics.setdefault(name, [])
        while True:
            try:
                async with Wire([self.bench.url(service)]) as wire:
                    while True:
                        answer = await wire.send("GET", "/metrics", seconds=2.0)
                        if (value := sample(answer.body.decode(), metric)) is not None:
                            seen.append((time.monotonic(), value))
                        await asyncio.sleep(EVERY)
            except (RefusedError, BrokenOffError, TimeoutError, LookupError):
                await asyncio.sleep(EVERY)

    async def _look_at_states(self) -> None:
        while True:
            moment = time.monotonic()
            snapshot = await asyncio.to_thread(take_status, self.bench.folder)
            for service in snapshot.status.services:
                self.states.setdefault(service.instance, []).append((moment, service.health))
            await asyncio.sleep(max(0.0, moment + STATES_EVERY - time.monotonic()))

    async def _ask_the_monitor(self, seen: dict[str, States]) -> None:
        while True:
            try:
                async with Wire([self.bench.url("monitor")]) as wire:
                    answer = await wire.send("GET", "/health_status", seconds=2.0)
                if answer.is_good:
                    services = cast("dict[str, Any]", answer.json())["services"]
                    for name, said in services.items():
                        seen.setdefault(name, []).append((time.monotonic(), said["status"]))
            except (RefusedError, BrokenOffError, TimeoutError, LookupError):
                pass
            await asyncio.sleep(STATES_EVERY)
