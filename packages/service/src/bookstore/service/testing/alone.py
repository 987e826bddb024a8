"""An app by itself: nothing that it needs is there, and it lives, says so, and leaves in order."""

import contextlib
import json
import tempfile
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path
from time import monotonic, sleep

from bookstore.service.testing.process import started

_PATIENCE = 60.0


def lives_alone(name: str, **settings: str) -> None:
    """Start an app's program where nobody else is, and see that it is the version that is installed.

    Args:
        name: The app's: "books".
        settings: What it can't do without, by the names that they have in the environment.

    Raises:
        AssertionError: if it isn't, or doesn't end in good order.
        TimeoutError: if it doesn't answer within a minute.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        started(f"bookstore.{name}", Path(folder), **settings) as url,
    ):
        _asked(f"{url}/health/live")
        told = _asked(f"{url}/openapi.json")["info"]["version"]
        if told != version(f"bookstore-{name}"):
            raise AssertionError(f"{name} says that it is {told}")


def _asked(url: str) -> dict[str, dict[str, str]]:
    until = monotonic() + _PATIENCE
    while monotonic() < until:
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(url) as answer,  # noqa: S310 - http, and our own
        ):
            return json.loads(answer.read())
        sleep(0.02)
    raise TimeoutError(url)
