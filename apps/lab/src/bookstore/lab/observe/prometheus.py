"""What Prometheus reads: whom to ask, and the files of rules with their tests. Version 2.42 takes all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bookstore.lab.observe import alerts, slo
from bookstore.lab.system.topology import numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bookstore.lab.system.topology import Topology

EVERY: Final = "5s"
_ASKED_AT: Final = {"supplier": "supplier-control"}
"""Services that are asked at another door than their own: this one is closed when its service plays dead."""


def targets(topology: Topology, ports: Mapping[str, int]) -> dict[str, list[str]]:
    """The addresses of each service, by its name; without `ports`, by its default one."""
    found: dict[str, list[str]] = {}
    for service in topology.services:
        if service.kind == "app" and not service.apart:
            doors = {door.name: door.port for door in service.doors}
            name = _ASKED_AT.get(service.name, service.name)
            port = doors.get(name, service.port)
            found[service.name] = [
                f"localhost:{ports.get(instance, port)}" for instance in numbered(name, service.replicas)
            ]
    return found


def config(
    targets: Mapping[str, Iterable[str]], *, rules: str = "rules/*.yml", itself: str = "localhost:9090"
) -> dict[str, Any]:
    """The configuration. A job's name is the service's: seed queries and alerts say `job="orders"`."""
    return {
        "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY},
        "rule_files": [rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [*addresses]}]}
            for job, addresses in {**targets, "prometheus": (itself,)}.items()
        ],
    }


def rule_files() -> dict[str, dict[str, Any]]:
    """All rules, by the name of their file."""
    files = {
        subject: {"groups": [{"name": subject, "rules": [each.rule() for each in about]}]}
        for subject, about in alerts.BY_SUBJECT.items()
    }
    return {**files, **{f"slo-{each.id}": slo.rules(each) for each in slo.SLOS}}


def test_files() -> dict[str, dict[str, Any]]:
    """The tests of all alerts, by the name of the file that they test."""
    subjects = {
        **alerts.BY_SUBJECT,
        **{f"slo-{each.id}": slo.alerts(each) for each in slo.SLOS},
    }
    return {
        name: {
            "rule_files": [f"../rules/{name}.yml"],
            "evaluation_interval": "5m" if name.startswith("slo-") else "1m",
            "tests": [each.test() for each in about],
        }
        for name, about in subjects.items()
    }
