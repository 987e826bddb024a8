"""The desk as a process: PORT, DESK_SECRET and BOOKSTORE_STATE tell it what it has to know."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

from bookstore.lab.desk.api import Desk
from bookstore.lab.desk.faults import Faults
from bookstore.lab.desk.log import log
from bookstore.lab.desk.runs import Runs
from bookstore.lab.serving import serve
from bookstore.lab.system.folder import StateFolder
from bookstore.stores.ports import LOOPBACK


async def _main() -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Handled, and so not ignored in those that are started from here, whatever we were told.
        loop.add_signal_handler(number, gone.set)
    state = StateFolder(Path(os.environ["BOOKSTORE_STATE"]))
    faults, runs = Faults(state, log), Runs(state)
    await faults.heal()
    desk = Desk(os.environ["DESK_SECRET"], state, runs, faults, log)
    server = await asyncio.start_server(partial(serve, answer=desk.answer), LOOPBACK, int(os.environ["PORT"]))
    keeping = asyncio.create_task(faults.keep())
    log("serving")
    await asyncio.wait({keeping, asyncio.create_task(gone.wait())}, return_when="FIRST_COMPLETED")
    server.close()
    if keeping.done():
        # It never ends by itself: it has an error to tell, after which the desk is started anew and heals.
        keeping.result()
    keeping.cancel()
    # Faults first: whoever is frozen can't end.
    await faults.end_all()
    await runs.end()
    log("over")


if __name__ == "__main__":
    asyncio.run(_main())
