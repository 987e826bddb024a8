"""Ways between parts that lead through a proxy, where each can be made slow or thin, or be cut."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bookstore.lab.system.topology import Service, Topology, Way

if TYPE_CHECKING:
    from collections.abc import Mapping

WAYS = (
    Way("orders->books", "orders", "books"),
    Way("orders->postgres", "orders", "orders_db"),
    Way("orders->redis", "orders", "redis"),
    Way("books->redis", "books", "redis"),
    Way("books->postgres", "books", "books_db"),
    Way("worker->supplier", "orders-worker", "supplier"),
    Way("worker->redis", "orders-worker", "redis"),
    Way("worker->postgres", "orders-worker", "orders_db"),
    Way("worker->books", "orders-worker", "books"),
)
NETWORK = Service(
    name="network",
    # A tool, because it ends after the apps: they need their ways until they have finished.
    kind="tool",
    port=15_049,
    offset=25,
    run=("-m", "bookstore.lab.network"),
    settings={"WAYS": "{ways}"},
    apart=True,
)
FIRST_PORT = 15_050
FIRST_OFFSET = 50
"""Where proxies listen: by default, and after `--port-base`."""


def proxied(topology: Topology) -> Topology:
    """The same with a proxy on each way that there is."""
    names = {service.name for service in topology.services}
    ways = tuple(way for way in WAYS if {way.source, _end(topology, way)} <= names)
    return replace(topology, services=(*topology.services, NETWORK), ways=ways)


def only_here(topology: Topology, outside: Mapping[str, str]) -> Topology:
    """The same without the ways to what runs elsewhere: a proxy never leaves this machine."""
    return replace(topology, ways=tuple(w for w in topology.ways if _end(topology, w) not in outside))


def led(topology: Topology, ports: Mapping[str, int]) -> Topology:
    """The same with each way's settings leading to the port of its proxy."""
    services = {service.name: service for service in topology.services}
    for way in topology.ways:
        service = services[way.source]
        settings = {
            setting: value.replace(f"{{{way.address}}}", f"{{{way.address}:{ports[way.name]}}}")
            for setting, value in service.settings.items()
        }
        services[way.source] = replace(service, settings=settings)
    return replace(topology, services=tuple(services.values()))


def wiring(topology: Topology, ports: Mapping[str, int]) -> str:
    """What the proxies are told: `NAME=LISTEN:UPSTREAM` for each way, with blanks between them."""
    ends = {way: topology.service(_end(topology, way)).instances()[0] for way in topology.ways}
    return " ".join(f"{way.name}={ports[way.name]}:{ports[end]}" for way, end in ends.items())


def _end(topology: Topology, way: Way) -> str:
    """The service at the other end: a database is one of PostgreSQL's."""
    return "postgres" if way.address in topology.databases else way.address
