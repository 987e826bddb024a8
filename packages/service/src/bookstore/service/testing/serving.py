"""For tests: a service on a real socket, in this very process or in one of its own, and what it must answer.

A service in this process has its own thread and event loop.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from bookstore.contracts.problems import MEDIA_TYPE, NAMESPACE
from bookstore.service.app import Service

_PATIENCE = 20.0
_LONG = 60.0
_INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH")
_SECRETS = ("Traceback", "psycopg", "SELECT", "INSERT", "UPDATE", "127.0.0.1")


@contextmanager
def serving(create: Callable[[], Service]) -> Generator[str]:
    """Serve what `create` makes, as `serve` would, but without signals and without a drain; gives its URL."""
    port = _free_port()
    stopped = threading.Event()
    stop: Callable[[], object] = stopped.set
    failed: list[BaseException] = []

    async def serve() -> None:
        nonlocal stop
        service = create()
        async with service.running():
            server = Server(
                service.asgi,
                port=port,
                interface=Interfaces.ASGINL,
                http=HTTPModes.http1,
                websockets=False,
                log_enabled=False,
            )
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def environment(**settings: str) -> dict[str, str]:
    """What a process of a service is given: these settings, and nothing that happens to be set here."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "DRAIN_ANNOUNCE": "0", **settings}


@contextmanager
def started(module: str, folder: Path, **settings: str) -> Generator[str]:
    """Run a service's command as a process; gives its URL, and ends it in order, which must leave no trace.

    Args:
        module: What `python -m` starts: "bookstore.books".
        folder: Where it runs, and where its log is kept.
        settings: By the names that they have in the environment.
    """
    port = _free_port()
    log = folder / f"{port}.log"
    with log.open("wb") as output:  # a pipe that nobody reads would stop the process once it is full
        process = subprocess.Popen(  # noqa: S603 - the module is the test's own
            [sys.executable, "-W", "error", "-m", module],
            env=environment(PORT=str(port), **settings),
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_LONG)
    said = log.read_text()
    if process.returncode or json.loads(said.splitlines()[-1])["message"] != "stopped":
        raise AssertionError(said)


def wait_until_ready(url: str) -> None:
    """Return once the service at `url` says that it is ready.

    Raises:
        TimeoutError: if it doesn't within a minute.
    """
    until = monotonic() + _LONG
    while monotonic() < until:
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(f"{url}/health/ready"),  # noqa: S310 - http, and the test's own
        ):
            return
        sleep(0.02)
    raise TimeoutError(url)


def check_problem(answer: Any, status: int, slug: str | None = None) -> dict[str, Any]:
    """Assert that an answer of httpx is a whole problem of this status, without secrets; gives its body."""
    problem: dict[str, Any] = answer.json()
    told = {"type", "title", "status", "detail", "instance", "request_id", "trace_id"}
    wrong = {
        "status": (answer.status_code, problem["status"]) != (status, status),
        "content type": answer.headers["content-type"] != MEDIA_TYPE,
        "members": not told <= problem.keys() <= told | {"errors"},
        "type": problem["type"] != f"{NAMESPACE}{slug or problem['type'].removeprefix(NAMESPACE)}",
        "instance": problem["instance"] != answer.request.url.path.rstrip("/"),
        "request id": problem["request_id"] != answer.headers["x-request-id"],
        "trace id": problem["trace_id"] != answer.headers["x-trace-id"],
        "secrets": any(secret in answer.text for secret in _SECRETS),
        "Retry-After": status in {429, 503} and int(answer.headers.get("retry-after", 0)) < 1,
        "WWW-Authenticate": status == 401 and not answer.headers["www-authenticate"].startswith("Bearer"),  # noqa: PLR2004
    }
    if any(wrong.values()):
        raise AssertionError(f"wrong: {[name for name in wrong if wrong[name]]}: {status} {answer.text}")
    return problem
