"""The instances' logs, made readable: JSON from the apps, each store's own form from the stores."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bookstore.lab.failures import Exit, LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from bookstore.lab.system.folder import StateFolder

TAIL_BYTES = 512 * 1024
LOG_BYTES = 64 * 1024 * 1024
LOOK_SECONDS = 0.2
POSTGRES_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] (\w+):\s+(.*)$")
REDIS_LINE = re.compile(r"^\d+:\w (\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) ([.\-*#]) (.*)$")
REDIS_LEVELS = {".": "debug", "-": "info", "*": "info", "#": "warning"}
# What a terminal would obey, and what would pass for another line: shown, and not done.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029)
}
# These have a place of their own in a line, or say what the line's beginning says already.
TOLD = {"timestamp", "level", "message", "event", "service", "instance", "logger", "hostname", "pid"}


@dataclass(frozen=True)
class Entry:
    """One line of a log."""

    when: str
    instance: str
    level: str
    text: str
    raw: str

    def __str__(self) -> str:
        clock = self.when[11:23] if self.when else " " * 12
        return f"{clock}  {self.instance:<12} {self.level:<8} {self.shown}"

    @property
    def shown(self) -> str:
        """The text as a terminal may be given it."""
        return self.text.translate(CONTROLS)


def parse(instance: str, raw: str) -> Entry:
    """Understand one line, whoever wrote it; what nobody understands is shown as it is."""
    if raw.startswith("{"):
        try:
            fields: dict[str, Any] = json.loads(raw)
        except ValueError:
            pass
        else:
            text = str(fields.get("message") or fields.get("event") or "")
            rest = (f"{key}={_short(value)}" for key, value in fields.items() if key not in TOLD)
            return Entry(
                str(fields.get("timestamp", "")).replace("T", " "),
                instance,
                str(fields.get("level", "")).lower(),
                "  ".join([text, *rest]),
                raw,
            )
    if match := POSTGRES_LINE.match(raw):
        return Entry(match[1], instance, match[2].lower().replace("log", "info"), match[3], raw)
    if match := REDIS_LINE.match(raw):
        when = datetime.strptime(match[1], "%d %b %Y %H:%M:%S.%f").replace(tzinfo=UTC)
        return Entry(f"{when:%Y-%m-%d %H:%M:%S.%f}"[:23], instance, REDIS_LEVELS[match[2]], match[3], raw)
    return Entry("", instance, "", raw, raw)


def _short(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value)


def last_lines(path: Path, count: int = 12, *, begun: int = 0) -> tuple[str, ...]:
    """The last lines of one log, readable; only those that were written when it had `begun` bytes."""
    return tuple(f"{entry.when[11:19]} {entry.shown}".rstrip() for entry in _tail(path, begun)[-count:])


def choose(folder: StateFolder, service: str | None) -> list[Path]:
    """The log files of a service or of one instance; all if None.

    Raises:
        LabError: there is no such log.
    """
    paths = sorted(folder.logs.glob("*.log")) if folder.logs.is_dir() else []
    chosen = [
        path for path in paths if service is None or re.fullmatch(rf"{re.escape(service)}(-\d+)?", path.stem)
    ]
    if not chosen:
        have = ", ".join(path.stem for path in paths)
        raise LabError(
            f"There is no log of {service or 'anything'} in {folder.logs}.",
            f"There are: {have}." if have else "Start the system with `bookstore up`.",
            Exit.NOT_RUNNING if not have else Exit.USAGE,
        )
    return chosen


def recent(paths: Iterable[Path], count: int) -> list[Entry]:
    """The last `count` lines of all logs together, in the order of their times."""
    dated: list[tuple[str, int, Entry]] = []
    for path in paths:
        when = ""
        for number, entry in enumerate(_tail(path)):
            # A line without a time (a traceback's) stays behind the one before it.
            when = entry.when or when
            dated.append((when, number, entry))
    dated.sort(key=lambda item: item[:2])
    return [entry for _, _, entry in dated[max(0, len(dated) - count) :]]


def shorten(path: Path, limit: int = LOG_BYTES) -> bool:
    """Begin a log anew when it has grown too long, and keep the old one as `.1`; False if it hasn't.

    The writer has it open for appending and goes on at the new end; what it writes during the copy is lost.
    """
    if path.stat().st_size <= limit:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


class Follower:
    """Sees what is added to logs from now on, to those too that appear meanwhile."""

    def __init__(self, paths: Callable[[], list[Path]]) -> None:
        self._paths = paths
        self._positions = {path: path.stat().st_size for path in paths()}

    def new(self) -> list[Entry]:
        """The complete lines that were added since the last look."""
        entries: list[Entry] = []
        for path in self._paths():
            start, size = self._positions.get(path, 0), path.stat().st_size
            if size == start:
                continue
            with path.open("rb") as file:
                # A shorter file was begun anew.
                file.seek(start if size > start else 0)
                lines, _, partial = file.read().rpartition(b"\n")
                self._positions[path] = file.tell() - len(partial)
            entries += [parse(path.stem, line) for line in _lines(lines)]
        return entries

    def __iter__(self) -> Iterator[Entry]:
        """New lines for ever."""
        while True:
            yield from self.new()
            time.sleep(LOOK_SECONDS)


def _lines(written: bytes) -> list[str]:
    """Lines as their writers end them: text knows further ends of a line, and a path in it may hold them."""
    return [line.decode(errors="replace") for line in written.splitlines()]


def _tail(path: Path, begun: int = 0) -> list[Entry]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            # A shorter file was begun anew.
            begun = begun if begun <= size else 0
            file.seek(max(begun, size - TAIL_BYTES))
            lines = _lines(file.read())
    except OSError:
        return []
    # The first one may be the end of a line only.
    return [parse(path.stem, line) for line in (lines[1:] if size - begun > TAIL_BYTES else lines)]
