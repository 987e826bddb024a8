"""A service's command, run as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from bookstore.service.testing.serving import free_port

_LONG = 60.0
_INHERITED = ("PATH", "HOME", "LD_LIBRARY_PATH")


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
    port = free_port()
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
