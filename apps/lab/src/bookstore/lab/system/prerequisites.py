"""What some experiments need that not every machine has, and how one gets it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Prerequisite:
    """One of them.

    Attributes:
        found: where it is, or None.
        to_get: how one gets it.
    """

    found: Callable[[], str | None]
    to_get: str


def libfaketime() -> str | None:
    """The library that tells processes another time: where LIBFAKETIME says, or where packages put it."""
    places = [Path(os.environ["LIBFAKETIME"])] if "LIBFAKETIME" in os.environ else []
    for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib"):
        # The one for programs with threads, below a folder of the machine's kind on Debian.
        places += sorted(Path(folder).glob("*/faketime/libfaketimeMT.so.1"))
        places += [Path(folder, "faketime", "libfaketimeMT.so.1")]
    return next((str(place) for place in places if place.is_file()), None)


PREREQUISITES: Mapping[str, Prerequisite] = {
    "libfaketime": Prerequisite(libfaketime, "`apt install libfaketime`, or name the file in LIBFAKETIME"),
    "prlimit": Prerequisite(lambda: shutil.which("prlimit"), "it is in util-linux, on Linux alone"),
}


def missing(needs: list[str]) -> list[str]:
    """What of these isn't here, a line for each."""
    return [
        f"{name} isn't here: {PREREQUISITES[name].to_get}"
        for name in needs
        if not PREREQUISITES[name].found()
    ]
