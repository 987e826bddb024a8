"""The generator, alone: `python -m bookstore.lab.load HISTORY`, with its plan on standard input."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from bookstore.lab.load.generator import Generator, Plan


async def _main(plan: Plan, path: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    # A Ctrl-C in the terminal is for whoever started us: he tells us when to stop.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    await Generator(plan, path).run(stop)


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan), Path(sys.argv[1])))
