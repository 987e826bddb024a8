"""Sends requests when they are due, whatever became of those before, and writes down what happened.

It is a process of its own in experiments: `python -m bookstore.lab.load` with its plan on standard input.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.load.history import Done, Dropped, Request, Sent, Writer
from bookstore.lab.load.ops import OPS, ORDERS
from bookstore.lab.load.schedule import Arrivals, kinds, starts
from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST_UNDER_WAY = 4000
"""More would be a flood of sockets, not customers; what is due then is dropped, and that is told."""
PATIENCE = 10.0
CREATED = 201
PRIORITY = -5


class Plan(msgspec.Struct, kw_only=True):
    """What to send where.

    Attributes:
        doors: URLs of the front doors; taken in turn, a closed one is passed by.
        rate: requests a second.
        seconds: for how long.
        mix: weights by the name of the operation.
        book: the book that is ordered and looked at.
        headers: what goes with every request.
        run: the beginning of each `Idempotency-Key`.
        seed: of everything that is drawn.
        arrivals: evenly, or as customers come.
    """

    doors: list[str]
    rate: float
    seconds: float
    mix: dict[str, float]
    book: int
    headers: dict[str, str] = {}
    run: str = "run"
    seed: int = 7
    arrivals: Arrivals = "constant"

    @property
    def due(self) -> int:
        """How many requests that makes."""
        return round(self.rate * self.seconds)


class _Id(msgspec.Struct):
    id: int


class Generator:
    """One run of a plan."""

    def __init__(self, plan: Plan, path: Path) -> None:
        self.requests: list[Request] = []
        self._plan = plan
        self._path = path
        self._wire = Wire(plan.doors)
        self._ids = msgspec.json.Decoder(_Id)
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """How many requests wait for their answer."""
        return len(self._under_way)

    async def run(self, stop: asyncio.Event | None = None) -> list[Request]:
        """Send all that is planned, and wait for the last answer; `stop` ends the sending early."""
        plan = self._plan
        moments = starts(plan.rate, plan.seconds, plan.arrivals, plan.seed)
        ops = kinds(plan.mix, len(moments), plan.seed)
        with suppress(OSError):
            # An instrument that waits for a CPU measures the CPU. Only the administrator may do this.
            os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        gc.collect()
        gc.freeze()
        with Writer(self._path) as writer:
            began = time.monotonic()
            try:
                for number, (moment, op) in enumerate(zip(moments, ops, strict=True)):
                    due = began + moment
                    if (wait := due - time.monotonic()) > 0:
                        await asyncio.sleep(wait)
                    elif number % 64 == 0:
                        await asyncio.sleep(0)
                    if stop is not None and stop.is_set():
                        break
                    if len(self._under_way) < MOST_UNDER_WAY:
                        self._begin(number, op, due, writer)
                    else:
                        writer.write(Dropped(number=number))
                if self._under_way:
                    await asyncio.wait(self._under_way)
            finally:
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)
                self._wire.close()
        return self.requests

    def _begin(self, number: int, op: str, due: float, writer: Writer) -> None:
        task = asyncio.create_task(self._one(number, op, due, writer))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _one(self, number: int, op: str, due: float, writer: Writer) -> None:
        method, path, body, headers = OPS[op](number, self._plan.run, self._plan.book)
        request = Request(number=number, op=op, due=due, sent=time.monotonic())
        self.requests.append(request)
        writer.write(Sent(number=number, op=op, due=due, sent=request.sent))
        try:
            answer = await self._wire.send(
                method, path, body, {**self._plan.headers, **dict(headers)}, seconds=PATIENCE
            )
            request.status = answer.status
            if op in ORDERS and answer.status == CREATED:
                request.order = self._ids.decode(answer.body).id
        except (RefusedError, BrokenOffError, TimeoutError, msgspec.DecodeError) as error:
            request.error = type(error).__name__
        request.done = time.monotonic()
        writer.write(
            Done(
                number=number,
                done=request.done,
                status=request.status,
                order=request.order,
                error=request.error,
            )
        )


async def generate(
    plan: Plan, path: Path, *, tell: Callable[[Generator], None] | None = None, every: float = 1.0
) -> list[Request]:
    """Run a plan; `tell` is called now and then with how it stands."""
    generator = Generator(plan, path)
    running = asyncio.create_task(generator.run())
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=every)
            if tell is not None:
                tell(generator)
    finally:
        running.cancel()
        await asyncio.wait({running})
    return running.result()
