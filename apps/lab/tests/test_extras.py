"""What further parts would need: told with how one gets it, and never a reason to fail."""

import json
import os
import sys

import pytest

from bookstore.lab.system import extras, tools
from bookstore.lab.system.extras import EXTRAS, look_around


class Machine:
    """A machine on whose PATH is nothing but what was installed."""

    def __init__(self, folder):
        self.folder = folder

    def install(self, name, script):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def says(self, part):
        return [(finding.verdict, finding.text) for finding in look_around() if finding.part == part]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_ALSO_IN", ())
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("part", "lines"), [("compose", 1), ("Kubernetes", 3), ("observation", 3), ("browser", 1)]
)
def test_what_is_missing_is_told_with_how_one_gets_it(machine, part, lines):
    said = machine.says(part)
    assert len(said) == lines
    for verdict, text in said:
        assert verdict == "absent"
        assert "isn't installed: " in text
        assert "\n" not in text


@pytest.mark.usefixtures("machine")
def test_nothing_that_is_missing_is_wrong():
    assert {finding.verdict for finding in look_around()} == {"absent"}


DOCKER = """
case "$1" in
compose) {compose} ;;
info) {info} ;;
esac
"""


@pytest.mark.parametrize(
    ("compose", "info", "said"),
    [
        (
            "echo Docker Compose version v2.40.3",
            "echo 28.2.2",
            [("ok", "docker compose 2.40.3"), ("ok", "docker 28.2.2 answers")],
        ),
        (
            "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1",
            "echo Cannot connect to the Docker daemon >&2; exit 1",
            [("absent", "its plugin compose isn't"), ("absent", "docker's service doesn't answer")],
        ),
        (
            "echo Docker Compose version v2.40.3",
            "echo",  # some versions say nothing, and that they are content
            [("ok", "docker compose 2.40.3"), ("absent", "docker's service doesn't answer")],
        ),
    ],
)
def test_docker_is_a_program_a_plugin_and_a_service(machine, compose, info, said):
    machine.install("docker", DOCKER.format(compose=compose, info=info))
    for (verdict, text), (expected, words) in zip(machine.says("compose"), said, strict=True):
        assert verdict == expected
        assert words in text


def test_what_is_there_tells_its_version(machine):
    machine.install("kubectl", "echo 'Client Version: v1.34.2'; echo 'Kustomize Version: v5.7.1'")
    machine.install("kind", "echo kind v0.30.0 go1.24.6 linux/amd64")
    machine.install("google-chrome", "echo Google Chrome 143.0.7499.40")
    machine.install("prometheus", "exit 3")
    said = dict.fromkeys(text for part in ("Kubernetes", "browser") for _, text in machine.says(part))
    for words in ("kubectl 1.34.2", "kind 0.30.0", "google-chrome 143.0.7499.40"):
        assert f"{machine.folder}/{words}" in said
    assert ("ok", f"{machine.folder}/prometheus, started by `up --observe`") in machine.says("observation")


def test_what_is_too_old_is_told(machine):
    machine.install("kubectl", """echo 'Client Version: version.Info{Major:"1", GitVersion:"v1.20.2"}'""")
    [kubectl, *_] = machine.says("Kubernetes")
    assert kubectl == ("note", f"{machine.folder}/kubectl is 1.20.2: 1.30 or later is needed")


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$", "while :; do :; done"])
def test_a_program_that_fails_or_hangs_is_told_of(machine, monkeypatch, script):
    monkeypatch.setattr(extras, "_PATIENCE", 0.2)
    machine.install("chromium", script)
    assert machine.says("browser") == [
        ("note", f"{machine.folder}/chromium is here, but doesn't tell its version")
    ]


def test_what_cant_be_run_at_all_is_told_of(machine):
    machine.install("chromium", "")
    (machine.folder / "chromium").write_bytes(b"\x7fELF nothing")
    assert machine.says("browser")[0][0] == "note"


def test_every_way_to_get_something_fits_a_line():
    for extra in EXTRAS:
        assert extra.to_get
        assert len(extra.to_get) < 100


def test_the_doctor_tells_scripts(system, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    system.environment = {"PATH": f"{empty}{os.pathsep}{os.path.dirname(sys.executable)}"}  # noqa: PTH120
    result = system.run("doctor", "--json")
    found = json.loads(result.stdout)
    assert {row["part"] for row in found} == {"start", "compose", "Kubernetes", "observation", "browser"}
    assert all(row["verdict"] in {"ok", "note", "absent"} for row in found)
    assert {row["verdict"] for row in found if row["part"] == "compose"} == {"absent"}
    assert result.returncode == 0
    plain = system.run("doctor")
    assert "· compose: docker isn't installed" in plain.stdout
    assert plain.returncode == 0
