"""Faults of processes: any of them, by name, killed, told to end, or frozen."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.load.wire import settle
from bookstore.lab.system.plan import APP_STOP_SECONDS

if TYPE_CHECKING:
    from bookstore.lab.experiments.bench import Bench
    from bookstore.stores.process import ProcessId

LOOK_SECONDS = 0.1


async def kill(instance: str, *, keep: bool = False) -> None:
    """SIGKILL an instance and its children. The supervisor starts it again after 0.5 s, as it always does.

    With `keep` whatever is started in its place is killed too, until it is let go of.
    """
    bench = BENCH.get()
    process = bench.process(instance)
    process.send_family(signal.SIGKILL)
    _prove_end(instance, process, "SIGKILL")
    if not keep:
        return

    async def again() -> None:
        while True:
            with suppress(LookupError):
                bench.process(instance).send_family(signal.SIGKILL)
            await asyncio.sleep(LOOK_SECONDS)

    killing = asyncio.create_task(again())

    async def stop() -> None:
        await settle(killing)
        _revive(bench)

    bench.kept[f"kill {instance}"] = stop


async def terminate(instance: str) -> None:
    """SIGTERM an instance and wait for its end in good order; it stays ended until it is let go of."""
    bench = BENCH.get()
    process = bench.process(instance)
    process.send(signal.SIGTERM)
    _prove_end(instance, process, "SIGTERM")
    async with asyncio.timeout(APP_STOP_SECONDS + LOOK_SECONDS):
        while process.alive:  # noqa: ASYNC110 - somebody else's child
            await asyncio.sleep(LOOK_SECONDS)

    async def revive() -> None:
        _revive(bench)

    bench.kept[f"revive {instance}"] = revive


async def freeze(instance: str) -> None:
    """SIGSTOP an instance and its children: connections stay open, nothing answers."""
    bench = BENCH.get()
    process = bench.process(instance)
    family = process.send_family(signal.SIGSTOP)

    async def proof() -> tuple[bool, str]:
        frozen = process.alive and psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
        return frozen, f"{instance} (pid {process.pid}) and {len(family) - 1} children: stopped is {frozen}"

    async def wake() -> None:
        for member in family:
            member.send(signal.SIGCONT)

    bench.kept[f"thaw {instance}"] = wake
    bench.bites.append(Bite(f"freeze {instance}", proof))


async def thaw(instance: str) -> None:
    """SIGCONT an instance that was frozen."""
    if (wake := BENCH.get().kept.pop(f"thaw {instance}", None)) is not None:
        await wake()


def _revive(bench: Bench) -> None:
    """Have the supervisor start at once what isn't there."""
    if (holder := bench.folder.lock.holder()) is not None:
        holder.send(signal.SIGUSR1)


def _prove_end(instance: str, process: ProcessId, number: str) -> None:
    bench = BENCH.get()

    async def proof() -> tuple[bool, str]:
        row = bench.row(instance)
        text = f"{instance} (pid {process.pid}) got {number}: alive is {process.alive}, now pid {row.pid}"
        return not process.alive, text

    bench.bites.append(Bite(f"{number} {instance}", proof))
