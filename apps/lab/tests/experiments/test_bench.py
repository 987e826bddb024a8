"""A system of its own, with proxies between its parts."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from bookstore.lab.experiments import bench
from bookstore.lab.experiments.bench import bases, running
from bookstore.lab.experiments.definition import Instance
from bookstore.lab.failures import LabError
from bookstore.lab.system.environment import Address
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.lifecycle import Start, down, up_apart
from bookstore.lab.system.plan import make_plan
from bookstore.lab.system.ports import Claims
from bookstore.lab.system.topology import SYSTEM, Topology
from bookstore.lab.system.ways import WAYS, only_here, proxied


def _ports(value):
    """Ports of the URLs in a setting."""
    return [urlsplit(url).port for url in value.split(",")] if "://" in value else []


@pytest.mark.parametrize("base", [None, 21_000])
def test_every_way_leads_through_its_proxy_to_the_same_place(base, tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.open()
    base = base and next(bases())
    plan = make_plan(proxied(SYSTEM), folder, Claims(), port_base=base, caller={})
    parts = {part.row.name: part for part in plan.parts}
    ports = {part.row.port: name for name, part in parts.items()}
    wires = dict(way.split("=") for way in parts["network"].app.environment["WAYS"].split())
    listens = {int(ends.split(":")[0]): name for name, ends in wires.items()}
    assert len(listens) == len(WAYS)
    found = {
        (listens[port], name)
        for name, part in parts.items()
        if part.app is not None and name != "network"
        for value in part.app.environment.values()
        for port in _ports(value)
        if port in listens
    }
    assert found == {(way.name, way.source) for way in WAYS}
    for way in WAYS:
        upstream = int(wires[way.name].split(":")[1])
        assert ports[upstream] == ("postgres" if way.address in SYSTEM.databases else way.address)


def test_a_way_to_what_runs_elsewhere_is_no_way():
    """A proxy never leaves this machine."""
    topology = only_here(proxied(SYSTEM), {"redis": "redis://far:1"})
    assert {way.target for way in topology.ways} == {"books", "postgres", "supplier"}


def test_instruments_are_no_part_of_what_is_measured():
    made = SYSTEM.without_instruments()
    assert {service.name for service in SYSTEM.services} - {service.name for service in made.services} == {
        "desk"
    }
    assert "desk" not in str([service.settings for service in made.services])
    assert made.service("monitor").settings["TARGETS"] == SYSTEM.service("monitor").settings["TARGETS"]


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:21050"),
        ("redis://:se%40cret@127.0.0.1:6379/0", "redis://:se%40cret@127.0.0.1:21050/0"),
        (
            "postgresql://me:pw@127.0.0.1:5432/orders_db?x=1",
            "postgresql://me:pw@127.0.0.1:21050/orders_db?x=1",
        ),
    ],
)
def test_an_address_by_another_port(url, written):
    assert "{a:21050}".format_map({"a": Address(url)}) == written
    assert "{a}".format_map({"a": Address(url)}) == url


def test_further_settings_of_a_service():
    made = SYSTEM.with_settings({"orders": {"X": "1"}})
    assert made.service("orders").settings["X"] == "1"
    assert made.service("books") == SYSTEM.service("books")


def test_a_base_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=f"free ports in a row from {port}"):
            next(bases(port))


def test_one_process_can_run_one_system_after_the_other(tmp_path):
    """As experiments do when they need systems of different shape."""
    folder = StateFolder(tmp_path / "state")
    start = Start(folder=folder, topology=Topology(services=SYSTEM.services[1:2], databases={}), caller={})
    for _ in range(2):
        up_apart(start, lambda _: None, bound=True)
        assert json.loads(folder.record.read_text())["phase"] == "running"
        assert down(folder, lambda _: None)
    assert not down(folder, lambda _: None)
    assert not down(folder, lambda _: None)


def test_who_loses_a_port_to_somebody_else_takes_others(tmp_path, monkeypatch):
    """Between looking and taking somebody else may start, too."""
    folder = StateFolder(tmp_path / "state")
    topology = Topology(services=SYSTEM.services[1:2], databases={})
    free = next(bases())
    with socket.create_server(("127.0.0.1", free + 11)) as taken:
        monkeypatch.setattr(bench, "bases", lambda _: iter([free, next(bases())]))
        with running(folder, Instance(), lambda _: None, topology=topology) as made:
            assert made.row("redis").port not in (taken.getsockname()[1], free + 11)
    assert folder.lock.take()
