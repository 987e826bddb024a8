"""What parts need that not everybody uses: containers, Kubernetes, those who look on, a browser.

None of it is needed to start the system, so what is missing is not wrong: it is told, with how one gets it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bookstore.lab.system.doctor import Finding
from bookstore.lab.system.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bookstore.lab.system.tools import Tool

_PATIENCE: Final = 5.0
"""Seconds for a program to tell its version: one that hangs must not make the doctor hang."""
_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)*")
_DOCKER: Final = "docs.docker.com/engine/install"


@dataclass(frozen=True)
class Extra:
    """A program that a part of the project uses."""

    part: str
    programs: tuple[str, ...]
    """What it may be called; the first is what it is."""
    asked: tuple[str, ...]
    """The words that make it tell its version."""
    to_get: str
    lowest: tuple[int, ...] = ()
    """The first version that will do."""


EXTRAS: Final = (
    Extra(
        "Kubernetes",
        ("kubectl",),
        ("version", "--client"),
        "kubernetes.io/docs/tasks/tools",
        lowest=(1, 30),  # what deploy/k8s is written for
    ),
    Extra(
        "Kubernetes",
        ("minikube", "kind"),
        ("version",),
        "minikube.sigs.k8s.io/docs/start, for a cluster here",
    ),
    Extra(
        "Kubernetes",
        ("kubeconform",),
        ("-v",),
        "github.com/yannh/kubeconform/releases; without it our own tests check the manifests",
    ),
    Extra(
        "browser",
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        ("--version",),
        "`apt install chromium`, or any Chrome; the pages are tested with it",
    ),
)


def look_around() -> Iterator[Finding]:
    """A line for each program that a further part would use."""
    yield from _compose()
    for extra in EXTRAS:
        if extra.part == "Kubernetes":
            yield _look(extra)
    yield from map(_observer, TOOLS)
    for extra in EXTRAS:
        if extra.part != "Kubernetes":
            yield _look(extra)


def _compose() -> Iterator[Finding]:
    """Docker is three things: a program, its plugin, and a service that may be used."""
    part = "compose"
    docker = shutil.which("docker")
    if docker is None:
        yield Finding("absent", f"docker isn't installed: {_DOCKER}", part)
        return
    plugin = _answer(docker, "compose", "version")
    if plugin is None:
        yield Finding(
            "absent", "docker is here, its plugin compose isn't: docs.docker.com/compose/install/linux", part
        )
    else:
        yield Finding("ok", f"docker compose {_number(plugin)}", part)
    server = _answer(docker, "info", "--format", "{{.ServerVersion}}")
    if server is None or not _VERSION.match(server):
        yield Finding(
            "absent",
            "docker's service doesn't answer: start it, and be one who may use it (group docker)",
            part,
        )
    else:
        yield Finding("ok", f"docker {_number(server)} answers", part)


def _look(extra: Extra) -> Finding:
    program = next((found for name in extra.programs if (found := shutil.which(name))), None)
    if program is None:
        names = " or ".join(dict.fromkeys(extra.programs[:2]))
        return Finding("absent", f"{names} isn't installed: {extra.to_get}", extra.part)
    said = _answer(program, *extra.asked)
    if said is None:
        return Finding("note", f"{program} is here, but doesn't tell its version", extra.part)
    number = _number(said)
    if extra.lowest and tuple(map(int, number.split("."))) < extra.lowest:
        lowest = ".".join(map(str, extra.lowest))
        return Finding("note", f"{program} is {number}: {lowest} or later is needed", extra.part)
    return Finding("ok", f"{program} {number}", extra.part)


def _observer(tool: Tool) -> Finding:
    name, program = tool.service.name, tool.program()
    if program is None:
        return Finding("absent", f"{name} isn't installed: {tool.to_get}", "observation")
    return Finding("ok", f"{program}, started by `up --observe`", "observation")


def _answer(*command: str) -> str | None:
    """What a program says, if it runs and is content with what it was asked."""
    try:
        return subprocess.run(  # noqa: S603 - programs by the names above
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _number(said: str) -> str:
    found = _VERSION.search(said)
    return found[0] if found else "0"
