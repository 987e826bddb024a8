"""`up --observe`: the tools that are found are started and kept, and nothing depends on any of them."""

import json
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.plan import make_plan
from bookstore.lab.system.ports import Claims
from bookstore.lab.system.tools import TOOLS
from bookstore.lab.system.topology import SYSTEM

NAMES = [tool.service.name for tool in TOOLS]
DOORS = ["jaeger-otlp", "jaeger-spans"]


@pytest.fixture
def bin_folder(system, tmp_path):
    """A PATH on which there are no tools yet, whatever this machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    system.environment = {"PATH": str(folder)}
    return folder


@pytest.fixture
def install(bin_folder):
    def install(*names):
        for name in names:
            program = bin_folder / name
            program.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("tool.py").read_text())
            program.chmod(0o755)

    return install


def test_all_tools_are_started_with_what_they_need_and_ended(system, install, eventually):
    install(*NAMES)
    system.environment["GF_SECURITY_ADMIN_PASSWORD"] = "the caller's own"
    system.add("books", replicas=2)
    assert "isn't installed" not in system.up_with("--observe")
    eventually(lambda: all(system.rows[name].ready for name in NAMES))
    rows = {row["instance"]: row for row in system.status()["services"]}
    assert set(rows) == {"books-1", "books-2", *NAMES, *DOORS}
    assert {rows[name]["kind"] for name in NAMES} == {"tool"}
    assert {rows[name]["health"] for name in ("books-1", *NAMES)} == {"healthy"}
    assert rows["jaeger-otlp"]["pid"] == rows["jaeger"]["pid"]
    # Services send their traces there, and Prometheus asks every instance where it is.
    assert system.environment_of("books-1")["OTEL_EXPORTER_OTLP_ENDPOINT"] == rows["jaeger-otlp"]["url"]
    folder = system.folder.observe
    targets = (folder / "prometheus" / "prometheus.yml").read_text()
    for instance in ("books-1", "books-2", "jaeger-spans"):
        assert f'"localhost:{rows[instance]["port"]}"' in targets
    assert list((folder / "prometheus" / "rules").glob("*.yml"))
    # Grafana keeps to loopback and to its folder, and nobody logs in.
    told = json.loads((folder / "grafana.json").read_text())
    assert told["argv"][:1] == ["server"]
    environment = told["environment"]
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    assert environment["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_PATHS_DATA"].startswith(str(folder))
    assert len([*(folder / "grafana" / "boards").glob("*.json")]) == 5
    family = system.family()
    assert system.run("reset", "--yes").returncode == 0
    assert not any(member.alive for member in family)
    assert not folder.exists()


def test_what_is_not_there_is_told_of_and_a_receiver_of_ones_own_is_kept(system, install):
    install("jaeger")
    system.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://elsewhere:4318"
    system.add("books")
    said = system.up_with("--observe")
    assert re.findall(r"(\w+) isn't installed", said) == ["prometheus", "grafana"]
    assert set(system.rows) == {"books-1", "jaeger", *DOORS}
    assert system.environment_of("books-1")["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://elsewhere:4318"


def test_a_tool_that_refuses_or_dies_keeps_nobody_and_is_started_again(
    system, install, bin_folder, eventually
):
    install("prometheus")
    (bin_folder / "prometheus.refuses").touch()
    system.add("books")
    system.up_with("--observe")
    assert system.rows["books-1"].ready
    eventually(lambda: "exited with code 1" in system.rows["prometheus"].note)
    (bin_folder / "prometheus.refuses").unlink()
    eventually(lambda: system.rows["prometheus"].ready)
    victim = system.rows["prometheus"].process
    victim.send(signal.SIGKILL)
    eventually(lambda: system.rows["prometheus"].ready and system.rows["prometheus"].pid != victim.pid)


def test_a_tool_stands_where_a_package_puts_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("bookstore.lab.system.tools._ALSO_IN", (str(tmp_path / "sbin"),))
    assert [tool.program() for tool in TOOLS] == [None, None, None]
    (tmp_path / "sbin").mkdir()
    program = tmp_path / "sbin" / "grafana-server"
    shutil.copy("/bin/true", program)
    assert TOOLS[2].program() == str(program)


@pytest.mark.parametrize(
    ("caller", "exporter", "disabled"),
    [
        ({}, "none", None),  # it takes everybody's spans
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318"}, "", None),
        ({"OTEL_TRACES_EXPORTER": "none"}, "none", None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318", "OTEL_SDK_DISABLED": "true"}, "", "true"),
    ],
)
def test_the_monitor_sends_spans_where_others_take_them_and_gives_ids_anyway(
    tmp_path, caller, exporter, disabled
):
    folder = StateFolder(tmp_path / "state")
    folder.open()
    plan = make_plan(SYSTEM, folder, Claims(), caller=caller)
    [monitor] = [part for part in plan.parts if part.row.name == "monitor"]
    assert monitor.app.environment["OTEL_TRACES_EXPORTER"] == exporter
    assert monitor.app.environment.get("OTEL_SDK_DISABLED") == disabled
