"""Where everything is, under the names that the topology's settings are written with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bookstore.lab.system.probe import POSTGRES_PORT
from bookstore.lab.system.topology import numbered
from bookstore.stores import redis_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bookstore.lab.system.topology import Topology


def addresses_of(topology: Topology, ports: Mapping[str, int], stores: Mapping[str, str]) -> dict[str, str]:
    """Addresses of all services, and of the stores, whose URLs these are."""
    found = {**stores, **{f"{name}_place": place_of(url) for name, url in stores.items()}}
    for service in topology.services:
        if service.kind == "app":
            urls = [_url(ports[instance]) for instance in service.instances()]
            found[service.name] = urls[0]
            found[f"{service.name}_all"] = ",".join(urls)
            found[f"{service.name}_replicas"] = str(len(urls))
            for door in service.doors:
                doors = [_url(ports[instance]) for instance in numbered(door.name, service.replicas)]
                found[f"{door.name}_all"] = ",".join(doors)
    return found


def port_of(url: str) -> int:
    """The port of a store; the first one, if it has several."""
    if url.startswith("redis"):
        return redis_place.read(url).seeds[0].port
    return urlsplit(url).port or POSTGRES_PORT


def place_of(url: str) -> str:
    """Where a store is, and nothing that opens it."""
    if url.startswith("redis"):
        return redis_place.read(url).address
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port_of(url)}"


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
