"""The proxies as a process of their own: prints the API's port, and ends when its standard input does.

So it ends with whoever started it, however that one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from bookstore.lab.network.api import Switchboard


async def _main() -> None:
    loop = asyncio.get_running_loop()
    # A Ctrl-C in the terminal is for whoever started us: he still needs us to take the faults back.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    switchboard = Switchboard()
    server = await asyncio.start_server(switchboard.serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    gone = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, gone.set)
    loop.add_reader(sys.stdin.fileno(), gone.set)
    await gone.wait()
    loop.remove_reader(sys.stdin.fileno())
    for proxy in switchboard.proxies.values():
        with contextlib.suppress(OSError):
            await proxy.disable()
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
