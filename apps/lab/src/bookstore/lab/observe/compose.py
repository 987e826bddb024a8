"""The same for containers, where a host name stands for a service: what `deploy/compose.yaml` mounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bookstore.lab.observe import grafana, jaeger, prometheus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bookstore.lab.system.topology import Topology

HOSTS: Final[Mapping[str, tuple[str, ...]]] = {"books": ("books", "books-replica")}
"""Services of several containers. Any other is one, and called like the service."""

_PROMETHEUS: Final = "http://prometheus:9090"
_JAEGER: Final = "http://jaeger:16686"


def targets(topology: Topology) -> dict[str, list[str]]:
    """The addresses of each service's containers, by its name."""
    return {
        name: [f"{host}:{address.rpartition(':')[2]}" for host in HOSTS.get(name, (name,))]
        for name, (address, *_) in prometheus.targets(topology, {}).items()
    }


def asked(topology: Topology) -> dict[str, Any]:
    """What Prometheus reads."""
    return prometheus.config({**targets(topology), "jaeger": ["jaeger:8889"]})


def sources() -> dict[str, Any]:
    """Where Grafana finds both."""
    return grafana.sources(_PROMETHEUS, _JAEGER)


def traces() -> dict[str, Any]:
    """What Jaeger reads: it listens for others, not for its own container alone."""
    return jaeger.config(
        jaeger.Places(
            screen="0.0.0.0:16686",
            otlp_http="0.0.0.0:4318",
            otlp_grpc="0.0.0.0:4317",
            span_metrics="0.0.0.0:8889",
            prometheus=_PROMETHEUS,
        )
    )
