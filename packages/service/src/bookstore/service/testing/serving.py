"""A service on a real socket in this very process, with its own thread and event loop."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import monotonic, sleep

import uvloop

from bookstore.service.app import Service
from bookstore.service.serve import server_of

_PATIENCE = 20.0


@contextmanager
def serving(create: Callable[[], Service]) -> Generator[str]:
    """Serve what `create` makes, as `serve` would, but without signals and without a drain; gives its URL."""
    port = free_port()
    stopped = threading.Event()
    stop: Callable[[], object] = stopped.set
    failed: list[BaseException] = []

    async def serve() -> None:
        nonlocal stop
        service = create()
        async with service.running():
            service.port = port
            server = server_of(service)
            loop = asyncio.get_running_loop()
            stop = lambda: loop.call_soon_threadsafe(server.stop)  # noqa: E731
            await server.serve()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            failed.append(error)

    thread = threading.Thread(target=run, name=f"service on {port}", daemon=True)
    thread.start()
    try:
        until = monotonic() + _PATIENCE
        while not _listens(port):
            if failed:
                raise failed[0]
            if monotonic() > until:
                raise TimeoutError(f"the service doesn't listen on {port}")
            sleep(0.002)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop()
        thread.join(_PATIENCE)
    if failed:
        raise failed[0]


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
