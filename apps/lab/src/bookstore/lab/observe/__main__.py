"""`python -m bookstore.lab.observe otel docs/metrics.md` writes what is made of the code.

The folder first; then, if it is named, the document with the table of all metrics, which is read off the
system that runs.
"""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from bookstore.lab.observe.files import write
from bookstore.lab.observe.table import replaced
from bookstore.lab.system.folder import StateFolder, default_folder
from bookstore.lab.system.status import take_status
from bookstore.lab.system.topology import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator


def _told() -> Iterator[str]:
    """What each service tells Prometheus; all of them must be there to tell."""
    services = take_status(StateFolder(default_folder())).status.services
    apps = [each for each in services if each.kind == "app" and each.name not in INSTRUMENTS]
    if not apps or any(each.health != "healthy" for each in apps):
        sys.exit("not every service is up and healthy: `bookstore up --detach` first")
    for each in apps:
        with urllib.request.urlopen(f"{each.url}/metrics") as answer:  # noqa: S310 - our own
            yield answer.read().decode()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    for document in map(Path, sys.argv[2:]):
        document.write_text(replaced(document.read_text(), _told()))
