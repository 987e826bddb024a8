"""Which port each instance gets."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system import ways
from bookstore.stores.ports import HIGHEST_PORT, is_free

if TYPE_CHECKING:
    from bookstore.lab.system.topology import Topology

# Another system of ours that is just starting has chosen its ports, but doesn't listen on them yet: so each
# supervisor also holds a lock for each of its ports.
CLAIMS = "bookstore-ports-{uid}"


class Claims:
    """The ports that this process has taken, until it ends."""

    def __init__(self) -> None:
        self._handles: list[int] = []
        self._folder = Path(tempfile.gettempdir(), CLAIMS.format(uid=os.getuid()))

    def take(self, port: int) -> bool:
        """Take a port; False if it is busy or somebody else's."""
        if not is_free(port):
            return False
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if self._folder.lstat().st_uid != os.getuid():
                return True
            handle = os.open(self._folder / str(port), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            # Without a place for locks the ports themselves must do.
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handles.append(handle)
        return True

    def hand_over(self) -> None:
        """Close our copies; a forked process keeps its own."""
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()


def choose_ports(
    topology: Topology, claims: Claims, *, base: int | None, outside: frozenset[str] = frozenset()
) -> dict[str, int]:
    """A port for each instance, each of its doors and each proxied way: its own, or the next free one above.

    With `base` the ports are fixed: base + offset. Services in `outside` run elsewhere and need none.

    Raises:
        LabError: a port that `base` demands is taken.
    """
    wanted = [
        (one.port if base is None else base + one.offset, names)
        for service in topology.services
        if service.name not in outside
        for one, names in [
            (service, service.instances()),
            *((door, service.named(door.name)) for door in service.doors),
        ]
    ]
    first_way = ways.FIRST_PORT if base is None else base + ways.FIRST_OFFSET
    wanted += [(first_way + number, [way.name]) for number, way in enumerate(topology.ways)]
    chosen: dict[str, int] = {}
    firsts = {first for first, _ in wanted}
    for first, names in wanted:
        for number, instance in enumerate(names):
            if base is not None and number == 0:
                if not claims.take(first):
                    raise LabError(
                        f"Port {first}, which {instance} gets from --port-base {base}, is taken{_by(first)}.",
                        "Name another --port-base, or leave it out: then busy ports are stepped over.",
                        Exit.PORT,
                    )
                chosen[instance] = first
                continue
            # Stepping on, not to another service's first port: that would only push that one on.
            chosen[instance] = next(
                port
                for port in range(first, HIGHEST_PORT)
                if (port == first or port not in firsts) and port not in chosen.values() and claims.take(port)
            )
    return chosen


def _by(port: int) -> str:
    """Who listens there, if we may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            address = tuple(connection.laddr)
            if connection.status == psutil.CONN_LISTEN and address[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError, AttributeError):
        pass
    return ""
