"""The live truth about the system: the supervisor's record, checked against the processes themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from bookstore.lab.system.probe import Health, health
from bookstore.lab.system.record import Record, Row

if TYPE_CHECKING:
    from bookstore.lab.system.folder import StateFolder

State = Literal["starting", "running", "stopping", "stopped"]
HEALTH_SECONDS = 2.0


class ServiceStatus(msgspec.Struct, kw_only=True):
    """One process as `status --json` shows it."""

    name: str
    instance: str
    kind: str
    url: str | None
    port: int | None
    pid: int | None
    pids: list[int]
    health: Health


class Status(msgspec.Struct, kw_only=True):
    """The whole system as `status --json` shows it."""

    state: State
    state_folder: str
    credentials_file: str
    services: list[ServiceStatus]


@dataclass
class Snapshot:
    """The status, with the record's rows beside it for those who show more."""

    status: Status
    rows: list[Row]

    @property
    def all_healthy(self) -> bool:
        """Whether the system runs and every part of it is healthy."""
        return self.status.state == "running" and all(s.health == "healthy" for s in self.status.services)


def take_status(folder: StateFolder) -> Snapshot:
    """Look at every process and ask every instance, all at once."""
    holder = folder.lock.holder() if folder.exists else None
    record = Record.read(folder.record)
    rows = record.rows if record else []
    # A record without a supervisor is a killed one's; its processes may still be about to go.
    state: State = (record.phase if record else "starting") if holder else "stopped"
    with ThreadPoolExecutor(max_workers=max(1, len(rows))) as pool:
        services = list(pool.map(_look, rows))
    return Snapshot(
        Status(
            state=state,
            state_folder=str(folder.path.absolute()),
            credentials_file=str(folder.credentials.absolute()),
            services=services,
        ),
        rows,
    )


def _look(row: Row) -> ServiceStatus:
    felt = health(row, HEALTH_SECONDS)
    # After the answer, which may have taken a while: what is shown as alive was alive a moment ago.
    family = row.process.family() if row.process else []
    if row.process and not family:
        felt = "down"
    return ServiceStatus(
        name=row.name,
        instance=row.instance,
        kind=row.kind,
        url=row.url,
        port=row.port,
        pid=row.pid if family else None,
        pids=[member.pid for member in family],
        health=felt,
    )
