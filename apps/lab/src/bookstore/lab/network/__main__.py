"""The proxies as a process of their own, one for each of WAYS; PORT is their API's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from bookstore.lab.network.api import Switchboard


async def _main() -> None:
    loop = asyncio.get_running_loop()
    switchboard = Switchboard()
    await switchboard.lead(os.environ.get("WAYS", "").split())
    server = await asyncio.start_server(switchboard.serve, "127.0.0.1", int(os.environ["PORT"]))
    gone = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, gone.set)
    await gone.wait()
    for proxy in switchboard.proxies.values():
        with contextlib.suppress(OSError):
            await proxy.disable()
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
