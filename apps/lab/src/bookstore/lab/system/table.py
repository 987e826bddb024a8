"""The table of services that people see."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bookstore.stores.provision import without_password

if TYPE_CHECKING:
    from bookstore.lab.system.record import Row
    from bookstore.lab.system.status import ServiceStatus, Snapshot

HEADINGS = ("service", "health", "url", "pid", "memory", "started", "")
MEMORY = HEADINGS.index("memory")
MEGABYTE = 10**6
MINUTE = 60
HOUR = 60 * MINUTE


def table(snapshot: Snapshot) -> list[str]:
    """The lines of the table."""
    memories = [
        row.process.memory() if row.process and not row.door_of else 0  # counted where the process is
        for row in snapshot.rows
    ]
    cells = [HEADINGS] + [
        _cells(service, row, memory)
        for service, row, memory in zip(snapshot.status.services, snapshot.rows, memories, strict=True)
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if column == MEMORY else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    total = sum(memories) / MEGABYTE
    return [*lines, f"all together {total:.0f} MB" if total else ""]


def _cells(service: ServiceStatus, row: Row, memory: int) -> tuple[str, ...]:
    notes = [row.note] if row.note else []
    if row.restarts:
        notes.append(f"restarted {row.restarts}x")
    if row.wanted is not None and row.wanted != row.port:
        notes.append(f"{row.wanted} was taken")
    return (
        service.instance,
        service.health,
        without_password(row.url),
        str(service.pid or "-"),
        f"{memory / MEGABYTE:.0f} MB" if memory else "-",
        _ago(row.since) if service.pid and row.since else "-",
        ", ".join(notes),
    )


def _ago(since: float) -> str:
    seconds = max(0.0, time.time() - since)
    clock = time.strftime("%H:%M:%S", time.localtime(since))
    if seconds < MINUTE:
        return f"{clock} ({seconds:.0f} s)"
    if seconds < HOUR:
        return f"{clock} ({seconds / MINUTE:.0f} min)"
    return f"{clock} ({seconds / HOUR:.0f} h)"
