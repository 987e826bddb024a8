"""Goes through a guide on a system of its own, step by step, and writes down what is seen."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bookstore.lab.experiments import actions
from bookstore.lab.experiments.bench import BENCH, Bench
from bookstore.lab.experiments.faults.restore import restore
from bookstore.lab.interruption import uninterrupted
from bookstore.lab.live import Entered, Seen
from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire
from bookstore.lab.scenarios import seen
from bookstore.lab.scenarios.seen import Observation, field_of, filled, observe
from bookstore.lab.system.credentials import Credentials

if TYPE_CHECKING:
    from bookstore.lab.live import Teller
    from bookstore.lab.scenarios.guide import Deed, Guide, Request, Step

LOOK_SECONDS = 0.1
ASK_SECONDS = 60.0


@dataclass
class Played:
    """What came of a guide."""

    guide: Guide
    observations: list[tuple[str, Observation]] = field(default_factory=list[tuple[str, Observation]])
    missing: str = ""
    interrupted: bool = False

    @property
    def held(self) -> int:
        """How many of the observations are as it says."""
        return sum(observation.holds for _, observation in self.observations)

    @property
    def holds(self) -> bool:
        """Whether everything that it says was seen."""
        whole = not self.missing and not self.interrupted
        return whole and self.held == len(self.observations)


@dataclass
class Play:
    """One way through a guide."""

    bench: Bench
    teller: Teller
    variables: dict[str, Any] = field(default_factory=dict[str, Any])

    async def through(self, guide: Guide, played: Played) -> None:
        """Go through all steps; what was done to the system is taken back in the end, however that comes."""
        BENCH.set(self.bench)
        names = {row.name for row in self.bench.rows}
        if missing := [name for name in guide.needs if name not in names]:
            played.missing = f"there is no {', '.join(missing)} in this system"
            return
        accounts = Credentials.load(self.bench.folder.credentials).accounts
        self.variables = {
            "run": secrets.token_hex(4),
            **{f"{email.partition('@')[0]}_email": email for email in accounts},
            **{f"{email.partition('@')[0]}_password": password for email, password in accounts.items()},
        }
        try:
            for step in guide.steps:
                self.teller.tell(Entered(phase=step.title, expected=step.see[0].says if step.see else ""))
                for observation in await self._step(step):
                    played.observations.append((step.title, observation))
                    self.teller.tell(_told(step, observation))
        except asyncio.CancelledError:
            played.interrupted = True
            raise
        finally:
            await uninterrupted(restore())

    async def _step(self, step: Step) -> list[Observation]:
        for deed in step.first:
            await self._do(deed)
        answers: list[seen.Seen] = []
        for request in step.ask:
            answers += await self._ask(request)
        observations = [observe(check, answers, self.variables) for check in step.see]
        for deed in step.then:
            await self._do(deed)
        return observations

    async def _do(self, deed: Deed) -> None:
        await getattr(actions, deed.action)(**filled(deed.arguments, self.variables))

    async def _ask(self, request: Request) -> list[seen.Seen]:
        async with Wire([self.bench.url(request.to)]) as wire:
            if request.until:
                answers = [await self._until(wire, request)]
            elif request.together:
                answers = list(
                    await asyncio.gather(*(self._one(wire, request) for _ in range(request.times)))
                )
            else:
                answers = [await self._one(wire, request) for _ in range(request.times)]
        last = answers[-1].answer
        if last is not None:
            self.variables |= {name: field_of(last.body, path) for name, path in request.save.items()}
        return answers

    async def _until(self, wire: Wire, request: Request) -> seen.Seen:
        deadline = time.monotonic() + request.within
        wanted = filled(request.until, self.variables)
        while True:
            one = await self._one(wire, request)
            there = one.answer is not None and wanted in one.answer.body.decode(errors="replace")
            if there or time.monotonic() > deadline:
                return one
            await asyncio.sleep(LOOK_SECONDS)

    async def _one(self, wire: Wire, request: Request) -> seen.Seen:
        began = time.monotonic()
        try:
            answer = await wire.send(
                request.method,
                filled(request.path, self.variables),
                filled(request.body, self.variables),
                filled(request.headers, self.variables),
                seconds=ASK_SECONDS,
            )
        except (RefusedError, BrokenOffError, TimeoutError):
            answer = None
        return seen.Seen(answer, time.monotonic() - began)


def _told(step: Step, observation: Observation) -> Seen:
    return Seen(
        title=step.title,
        expected=observation.says,
        seen=observation.seen,
        verdict="ok" if observation.holds else "bad",
    )
