"""A process whose clock jumps: libfaketime tells it the time, and we tell libfaketime.

Clocks that only ever go on aren't touched: those are what time limits have to go by.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.load.wire import ask

FILE = "clock"
SLACK = 120.0


async def move_clock(instance: str, seconds: int) -> None:
    """From now on an instance believes that it is so many seconds later (or earlier) than it is."""
    bench = BENCH.get()
    row = bench.row(instance)
    path = bench.folder.kept(row.instance) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{seconds:+d}\n")

    async def proof() -> tuple[bool, str]:
        answer = await ask(row.url, "GET", "/health")
        said = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
        return abs(said - seconds) < SLACK, f"{row.instance} said that it was {said:+.0f} s from now"

    async def put_right() -> None:
        path.write_text("+0\n")

    bench.kept[f"the clock of {instance}"] = put_right
    bench.bites[:] = [bite for bite in bench.bites if bite.fault != f"clock of {instance}"]
    bench.bites.append(Bite(f"clock of {instance}", proof))
