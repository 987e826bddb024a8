"""`bookstore playground run`: hands on to the playground's own command, which needs no system to run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bookstore.lab.system.environment import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Sequence


def playground(words: Sequence[str]) -> int:
    """Run the playground's own command on this terminal; gives its exit code."""
    kept = {name: value for name, value in os.environ.items() if name in PLATFORM}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "bookstore.playground", *words], env=kept, check=False
    ).returncode
