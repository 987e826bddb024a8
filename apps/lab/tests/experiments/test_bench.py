"""A system of its own, with proxies between its parts."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from bookstore.lab.experiments.bench import DETOURS, PROXY_OFFSET, detoured, free_base, with_settings
from bookstore.lab.failures import LabError
from bookstore.lab.system.environment import Address
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.lifecycle import Start, down, up_apart
from bookstore.lab.system.plan import make_plan
from bookstore.lab.system.ports import Claims
from bookstore.lab.system.topology import SYSTEM, Topology


def test_every_detour_leads_through_its_proxy_to_the_same_place(tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.open()
    base = free_base()
    straight, round_about = (
        {part.row.name: part for part in make_plan(each, folder, Claims(), caller={}).parts}
        for each in (SYSTEM, detoured(SYSTEM, base))
    )
    changed = {}
    for name, part in round_about.items():
        if part.app is not None:
            before = straight[name].app.environment
            for setting, value in part.app.environment.items():
                port = urlsplit(value).port if "://" in value and "," not in value else None
                if port is not None and base + PROXY_OFFSET <= port < base + PROXY_OFFSET + len(DETOURS):
                    changed[list(DETOURS)[port - base - PROXY_OFFSET]] = (name, urlsplit(before[setting]))
                    assert urlsplit(value)._replace(netloc="") == urlsplit(before[setting])._replace(
                        netloc=""
                    )
                    assert urlsplit(value).password == urlsplit(before[setting]).password
    assert {proxy: name for proxy, (name, _) in changed.items()} == {
        proxy: service for proxy, (service, _) in DETOURS.items()
    }


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
    made = with_settings(SYSTEM, {"orders": {"X": "1"}})
    assert made.service("orders").settings["X"] == "1"
    assert made.service("books") == SYSTEM.service("books")


def test_a_base_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=f"free ports in a row from {port}"):
            free_base(port)


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
