"""Taking everything back: safe to do at any moment, and as often as one likes."""

from __future__ import annotations

import signal
from contextlib import suppress

from bookstore.lab.experiments.bench import BENCH
from bookstore.lab.experiments.faults.network import mend
from bookstore.lab.load.outcome import set_mode
from bookstore.lab.load.wire import BrokenOffError, RefusedError

AWAY = (RefusedError, BrokenOffError, TimeoutError, LookupError)
"""Who isn't there has nothing to take back: the supplier begins in `normal`, the proxies without toxics."""


async def let_go() -> None:
    """End what is held: locks, connections, freezes; the last one first."""
    kept = BENCH.get().kept
    while kept:
        _, end = kept.popitem()
        await end()


async def restore() -> None:
    """Take back every fault there is: held things, toxics, frozen processes, the supplier's mode."""
    bench = BENCH.get()
    await let_go()
    for row in bench.rows:
        if row.process is not None:
            # Looking for children takes a while, and only a store's are ever frozen.
            send = row.process.send_family if row.kind == "store" else row.process.send
            send(signal.SIGCONT)
    with suppress(*AWAY):
        await mend()
    with suppress(*AWAY):
        await set_mode(bench.url("supplier-control"), "normal")
