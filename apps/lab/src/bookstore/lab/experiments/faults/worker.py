"""Faults of the orders worker at exact places: between any two of its durable steps.

A second worker with a failpoint runs beside the real one, which stands still meanwhile: so the one that is to
die gets the jobs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import psutil

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.experiments.faults.processes import freeze, thaw
from bookstore.lab.experiments.watch import sample
from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire, settle
from bookstore.stores.ports import any_free

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

WORKER = "orders-worker-1"
DIES_WITHIN = 45.0
LOOK_SECONDS = 0.05
ANSWERS_WITHIN = 5.0
"""Seconds that one has to tell of itself who is stopped again and again."""


@asynccontextmanager
async def _double(failpoint: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """A copy of the running worker, with its environment and a failpoint; and where it tells of itself."""
    bench = BENCH.get()
    running = psutil.Process(bench.process(WORKER).pid)
    port = any_free()
    more = {"PORT": str(port), "INSTANCE": "orders-worker-double", "FAILPOINT": failpoint}
    log = os.open(bench.folder.log("orders-worker-double"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            *running.cmdline(), env={**running.environ(), **more}, stdout=log, stderr=log
        )
    finally:
        os.close(log)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def crash_matrix(places: list[str]) -> None:
    """At each place once: a worker dies there, with a job in hand."""
    bench = BENCH.get()
    died: dict[str, bool] = {}

    async def proof() -> tuple[bool, str]:
        survived = sorted(place for place in places if not died.get(place))
        text = (
            f"a worker was killed by its failpoint at {len(places) - len(survived)} of {len(places)} places"
        )
        return not survived, text + (f"; not at {', '.join(survived)}" if survived else "")

    bench.bites.append(Bite("crash matrix", proof))
    await freeze(WORKER)
    # What is frozen here is the means, and not what has to be proved.
    bench.bites.pop()
    for place in places:
        async with _double(f"{place}:kill") as (double, _):
            with suppress(TimeoutError):
                died[place] = await asyncio.wait_for(double.wait(), DIES_WITHIN) == -signal.SIGKILL
    await thaw(WORKER)


async def freeze_worker_past_its_lease(lease: float) -> None:
    """A worker freezes with a validated job in hand, another takes the job over, and the first one wakes up.

    Its outcome must be fenced. A failpoint stops it between the supplier's answer and the commit.
    """
    bench = BENCH.get()
    await freeze(WORKER)
    bench.bites.pop()
    async with _double("validate.call:stop") as (double, url):
        stopped = await _until_stopped(double.pid)
        await thaw(WORKER)
        # The real worker takes over what the double holds, as soon as the lease is over.
        await asyncio.sleep(lease * 1.5)
        fenced = await _go_on(double.pid, url)

    async def proof() -> tuple[bool, str]:
        text = f"a worker stood still with jobs in hand for {lease * 1.5:g} s: {stopped}"
        return stopped and fenced > 0, f"{text}; of its outcomes {fenced} were fenced"

    bench.bites.append(Bite("worker frozen past its lease", proof))


async def _until_stopped(pid: int) -> bool:
    deadline = time.monotonic() + DIES_WITHIN
    while time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def _go_on(pid: int, url: str) -> int:
    """Wake it until it has tried to commit: it stops at its failpoint for every job that it has in hand.

    Gives how many of its outcomes came too late.
    """
    fenced, deadline = 0, time.monotonic() + DIES_WITHIN
    waking = asyncio.create_task(_keep_awake(pid))
    try:
        while not fenced and time.monotonic() < deadline:
            with suppress(RefusedError, BrokenOffError, TimeoutError):
                async with Wire([url]) as wire:
                    text = (await wire.send("GET", "/metrics", seconds=ANSWERS_WITHIN)).body.decode()
                    fenced = round(sample(text, 'bookstore_queue_fenced_total{what="finish"}') or 0)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await settle(waking)
    return fenced


async def _keep_awake(pid: int) -> None:
    """Also while it is asked something: it stops again at its next job, and an answer takes several turns."""
    while True:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(LOOK_SECONDS)
