"""A service on a real socket in this very process, with its own thread and event loop."""

import asyncio
import contextlib
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic, sleep

import uvloop

from bookstore.service.app import Service
from bookstore.service.serve import server_of

_PATIENCE = 20.0
"""Seconds until it listens."""
_LEAVE = 20.0
"""Seconds in which it ends."""
_ANSWER = 1.0
"""Seconds in which its loop tells of its tasks."""


@contextmanager
def serving(create: Callable[[], Service]) -> Generator[str]:
    """Serve what `create` makes, as `serve` would, but without signals and without a drain; gives its URL.

    Raises:
        TimeoutError: if it doesn't listen in time, or doesn't end in time: then it says what still runs.
    """
    port = free_port()
    host = _Host(create, port)
    try:
        until = monotonic() + _PATIENCE
        while not _listens(port):
            host.raise_failure()
            if monotonic() > until:
                raise TimeoutError(f"the service doesn't listen on {port}; {host.doing()}")
            sleep(0.002)
        yield f"http://127.0.0.1:{port}"
    finally:
        host.end()
    host.raise_failure()


class _Host:
    """A thread with one service, until it is told to stop."""

    def __init__(self, create: Callable[[], Service], port: int) -> None:
        self._create = create
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"service on {port}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            self._failure = error

    async def _serve(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._stop = task.cancel  # as long as nobody serves
        service = self._create()
        async with service.running():
            service.port = self._port
            server = server_of(service)
            self._stop = server.stop
            await server.serve()

    def raise_failure(self) -> None:
        """Raise what ended it, if anything did."""
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """Stop it, and wait until it has ended.

        Raises:
            TimeoutError: if it doesn't.
        """
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(_LEAVE)
        if self._thread.is_alive():
            raise TimeoutError(f"the {self._thread.name} didn't end within {_LEAVE:g} s; {self.doing()}")

    def doing(self) -> str:
        """What still runs: its tasks, each with where it waits, and where the thread itself is."""
        lines = ["what still runs:", *self._tasks()]
        frames_now = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented so
        if frame := frames_now.get(self._thread.ident or 0):
            lines += ["the thread, at:", "".join(traceback.format_stack(frame, limit=3))]
        return "\n".join(lines)

    def _tasks(self) -> list[str]:
        """Its tasks, told by its own loop: nobody else may look while they run. None if that is blocked."""
        told: Future[list[str]] = Future()
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(lambda: told.set_result(_tasks()))
                return told.result(_ANSWER)
        except (RuntimeError, TimeoutError):  # it is closed, or blocked
            pass
        return []


def _tasks() -> list[str]:
    """Each task of this loop, and where it waits."""
    lines: list[str] = []
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        what = getattr(task.get_coro(), "__qualname__", repr(task.get_coro()))
        frames = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in task.get_stack())
        lines += [f"{task.get_name()}, {what}, at:", "".join(frames.format())]
    return lines


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False
