"""The system under test: an instance of its own, with proxies between its parts, and what is known of it."""

from __future__ import annotations

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
    from collections.abc import Awaitable, Callable, Generator, Iterator

    from bookstore.lab.experiments.definition import Instance
    from bookstore.lab.load.shop import Shop
    from bookstore.lab.system.folder import StateFolder
    from bookstore.stores.process import ProcessId

FIRST_BASE, LAST_BASE, STRIDE = 21_000, 29_900, 100
WIDTH = 80


@dataclass(frozen=True)
class Bite:
    """A fault that was injected, and how to see whether it does what it should."""

    fault: str
    proof: Callable[[], Awaitable[tuple[bool, str]]]


@dataclass
class Bench:
    """What actions and probes work on."""

    folder: StateFolder
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

    @property
    def proxies(self) -> str:
        """The URL of the proxies' API."""
        return self.url("network")

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


def bases(wanted: int | None = None) -> Iterator[int]:
    """Numbers from which on there are enough free ports now; or the one that was asked for, if there are.

    Raises:
        LabError: there is none (any more).
    """
    for base in [wanted] if wanted is not None else range(FIRST_BASE, LAST_BASE, STRIDE):
        if all(is_free(port) for port in range(base, base + WIDTH)):
            yield base
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
    """A system of its own, with proxies between its parts, for as long as the block lasts.

    If we are killed, it ends as well.
    """
    start = Start(
        folder=folder,
        topology=topology.without_instruments().with_settings(instance.settings),
        replicas=instance.replicas,
        proxied=True,
    )
    for base in bases(port_base):
        try:
            up_apart(replace(start, port_base=base), say, bound=True)
            break
        except AlreadyRunningError as error:
            raise LabError(
                f"Experiments are being run already, in {folder.path}.",
                "Wait for their end, or name another state folder with --state.",
                Exit.FAILED,
            ) from error
        except LabError as failure:
            # Somebody else who is just starting may have taken a port since we looked.
            if failure.code != Exit.PORT or port_base is not None:
                raise
    try:
        yield Bench(folder)
    finally:
        down(folder, lambda _: None)
