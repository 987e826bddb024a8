"""A process whose clock jumps: libfaketime tells it the time, and we tell libfaketime.

Clocks that only ever go on aren't touched: those are what time limits have to go by.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.load.wire import ask

if TYPE_CHECKING:
    from pathlib import Path

FILE = "clock"
SLACK = 120.0
LOOK_SECONDS = 0.05
WRITE_SECONDS = 5.0


async def move_clock(instance: str, seconds: int) -> None:
    """From now on an instance believes that it is so many seconds later (or earlier) than it is."""
    bench = BENCH.get()
    row = bench.row(instance)
    path = bench.folder.kept(row.instance) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{seconds:+d}\n")

    async def proof() -> tuple[bool, str]:
        said = await _time_of(row.url, bench.folder.log(row.instance)) - time.time()
        return abs(
            said - seconds
        ) < SLACK, f"{row.instance} wrote into its log that it was {said:+.0f} s from now"

    async def put_right() -> None:
        path.write_text("+0\n")

    bench.kept[f"the clock of {instance}"] = put_right
    bench.bites[:] = [bite for bite in bench.bites if bite.fault != f"clock of {instance}"]
    bench.bites.append(Bite(f"clock of {instance}", proof))


async def _time_of(url: str, log: Path) -> float:
    """What time it is for a service: it writes that into its log with each request.

    Raises:
        TimeoutError: it writes nothing.
    """
    known = len(_lines(log))
    async with asyncio.timeout(WRITE_SECONDS):
        await ask(url, "GET", "/whoami")
        while len(lines := _lines(log)) == known:  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(LOOK_SECONDS)
    return datetime.fromisoformat(json.loads(lines[-1])["timestamp"]).timestamp()


def _lines(log: Path) -> list[bytes]:
    """All that are whole."""
    return [line for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
