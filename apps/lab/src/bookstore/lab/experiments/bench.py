"""The system under test: an instance of its own, with proxies between its parts, and what is known of it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.load.wire import loopback
from bookstore.lab.system.lifecycle import AlreadyRunningError, Start, down, up_apart
from bookstore.lab.system.record import Record, Row
from bookstore.lab.system.topology import SYSTEM, Topology
from bookstore.stores.ports import is_free

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from bookstore.lab.experiments.definition import Instance
    from bookstore.lab.load.shop import Shop
    from bookstore.lab.system.folder import StateFolder
    from bookstore.stores.process import ProcessId

FIRST_BASE, LAST_BASE, STRIDE = 21_000, 29_900, 100
PROXY_OFFSET = 50
WIDTH = 80
DETOURS = {
    "orders->books": ("orders", "books"),
    "orders->postgres": ("orders", "orders_db"),
    "orders->redis": ("orders", "redis"),
    "books->redis": ("books", "redis"),
    "books->postgres": ("books", "books_db"),
    "worker->supplier": ("orders-worker", "supplier"),
    "worker->redis": ("orders-worker", "redis"),
    "worker->postgres": ("orders-worker", "orders_db"),
    "worker->books": ("orders-worker", "books"),
}
"""Proxies by name: whose way, and to which address of the topology."""


@dataclass(frozen=True)
class Bite:
    """A fault that was injected, and how to see whether it does what it should."""

    fault: str
    proof: Callable[[], Awaitable[tuple[bool, str]]]


@dataclass
class Bench:
    """What actions and probes work on."""

    folder: StateFolder
    proxies: str
    """The URL of the proxies' API."""
    shop: Shop | None = None
    bites: list[Bite] = field(default_factory=list[Bite])
    kept: dict[str, Callable[[], Awaitable[None]]] = field(
        default_factory=dict[str, "Callable[[], Awaitable[None]]"]
    )
    """What must be let go of: locks, connections, frozen processes; by name, each with how."""
    histories: list[str] = field(default_factory=list[str])
    """Files of further generators, written in the run's folder."""
    run_folder: str = ""

    @property
    def rows(self) -> list[Row]:
        """All that runs, as the supervisor has it."""
        record = Record.read(self.folder.record)
        return record.rows if record else []

    def row(self, instance: str) -> Row:
        """One instance; `books` is the first of its instances.

        Raises:
            LookupError: there is none of that name.
        """
        for row in self.rows:
            if instance in (row.instance, row.name):
                return row
        raise LookupError(f"there is no {instance}")

    def url(self, instance: str) -> str:
        """Where an instance is reached; never anything but this machine."""
        url = self.row(instance).url
        loopback(url)
        return url

    def process(self, instance: str) -> ProcessId:
        """The process of an instance.

        Raises:
            LookupError: it has none now.
        """
        process = self.row(instance).process
        if process is None:
            raise LookupError(f"{instance} has no process now")
        return process

    def urls(self) -> dict[str, str]:
        """All services' first URLs by name."""
        return {row.name: row.url for row in reversed(self.rows)}


BENCH: ContextVar[Bench] = ContextVar("bench")
"""Where the running experiment's actions find their system."""


def detoured(topology: Topology, base: int) -> Topology:
    """The topology with each detour's settings leading through its proxy."""
    ports = {name: base + PROXY_OFFSET + number for number, name in enumerate(DETOURS)}
    services = list(topology.services)
    for proxy, (name, address) in DETOURS.items():
        for number, service in enumerate(services):
            if service.name == name:
                settings = {
                    setting: value.replace(f"{{{address}}}", f"{{{address}:{ports[proxy]}}}")
                    for setting, value in service.settings.items()
                }
                services[number] = replace(service, settings=settings)
    return replace(topology, services=tuple(services))


def with_settings(topology: Topology, settings: dict[str, dict[str, str]]) -> Topology:
    """The topology with further settings of some services."""
    services = (
        replace(service, settings={**service.settings, **settings.get(service.name, {})})
        for service in topology.services
    )
    return replace(topology, services=tuple(services))


def free_base(wanted: int | None = None) -> int:
    """A number from which on there are enough free ports.

    Raises:
        LabError: the one that was asked for isn't, or none is.
    """
    for base in [wanted] if wanted is not None else range(FIRST_BASE, LAST_BASE, STRIDE):
        if all(is_free(port) for port in range(base, base + WIDTH)):
            return base
    raise LabError(
        f"There aren't {WIDTH} free ports in a row" + (f" from {wanted} on." if wanted else "."),
        "Name another --port-base.",
        Exit.PORT,
    )


@contextmanager
def running(
    folder: StateFolder,
    instance: Instance,
    say: Callable[[str], None],
    *,
    port_base: int | None = None,
    topology: Topology = SYSTEM,
) -> Generator[Bench]:
    """A system of its own for as long as the block lasts; if we are killed, it ends as well.

    The proxies are there first, because services look for their stores as soon as they start.
    """
    base = free_base(port_base)
    targets = _targets(topology, base)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "bookstore.lab.network"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        try:
            _make_proxies(url, base, targets)
            start = Start(
                folder=folder,
                port_base=base,
                topology=with_settings(detoured(topology, base), instance.settings),
                replicas=instance.replicas,
            )
            try:
                up_apart(start, say, bound=True)
            except AlreadyRunningError as error:
                raise LabError(
                    f"Experiments are being run already, in {folder.path}.",
                    "Wait for their end, or name another state folder with --state.",
                    Exit.FAILED,
                ) from error
            try:
                yield Bench(folder, url)
            finally:
                down(folder, lambda _: None)
        finally:
            process.terminate()


def _targets(topology: Topology, base: int) -> dict[str, int]:
    ports = {service.name: base + service.offset for service in topology.services}
    return {
        proxy: ports["postgres" if address.endswith("_db") else address]
        for proxy, (_, address) in DETOURS.items()
        if ("postgres" if address.endswith("_db") else address) in ports
    }


def _make_proxies(url: str, base: int, targets: dict[str, int]) -> None:
    import httpx  # noqa: PLC0415 - takes a while, and only this needs it

    with httpx.Client(base_url=url, trust_env=False) as client:
        for number, name in enumerate(DETOURS):
            if name in targets:
                wish = {
                    "name": name,
                    "listen": f"127.0.0.1:{base + PROXY_OFFSET + number}",
                    "upstream": f"127.0.0.1:{targets[name]}",
                }
                client.post("/proxies", json=wish).raise_for_status()
