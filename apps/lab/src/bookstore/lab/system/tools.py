"""The tools that look on: Prometheus, Jaeger and Grafana, if they are installed. Nothing waits for them.

They are other people's programs, found on the machine and started with what `bookstore.lab.observe` says, and
with the ports that this system has got. One that doesn't start is told of, and the system goes on without it.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from bookstore.lab.observe import grafana, jaeger, prometheus
from bookstore.lab.observe.boards import BOARDS
from bookstore.lab.observe.yaml import dump
from bookstore.lab.system.topology import Door, Service, Topology

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALSO_IN: Final = ("/usr/sbin", "/usr/local/bin", "/usr/share/grafana/bin", "/opt/jaeger")
"""Where packages put them beside the usual places."""
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_OTLP: Final = "jaeger-otlp"
_SPANS: Final = "jaeger-spans"


@dataclass(frozen=True)
class Surroundings:
    """What a tool is to look at, and the folder of all tools."""

    topology: Topology
    ports: Mapping[str, int]
    folder: Path

    def url(self, name: str) -> str:
        """Where a tool is reached; its default place if it isn't among those that were found."""
        return f"http://127.0.0.1:{self.ports.get(name, tool_of(name).service.port)}"

    def write(self, path: str, text: str) -> None:
        """Write one of a tool's files."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)


class Tool(ABC):
    """One program: how it is found, told what to do, and started."""

    service: ClassVar[Service]
    programs: ClassVar[tuple[str, ...]]
    """What it may be called."""
    to_get: ClassVar[str]
    """How one gets it."""

    def program(self) -> str | None:
        """Where it is, if it is here."""
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), *_ALSO_IN])
        return next((found for name in self.programs if (found := shutil.which(name, path=places))), None)

    @abstractmethod
    def configure(self, around: Surroundings) -> None:
        """Write its files; called before each start."""

    @abstractmethod
    def command(self, around: Surroundings) -> list[str]:
        """What to run."""

    def settings(self, around: Surroundings) -> dict[str, str]:
        """What its environment says."""
        del around
        return {}


class Prometheus(Tool):
    """Asks every service for its numbers, and watches the rules."""

    service = Service(name="prometheus", kind="tool", port=9090, offset=20)
    programs = ("prometheus",)
    to_get = "`apt install prometheus`, or prometheus.io/download"

    def configure(self, around: Surroundings) -> None:
        """Its targets and all rules."""
        jobs = prometheus.targets(around.topology, around.ports)
        if _SPANS in around.ports:
            jobs["jaeger"] = [f"localhost:{around.ports[_SPANS]}"]
        itself = around.url("prometheus").removeprefix("http://")
        around.write("prometheus/prometheus.yml", dump(prometheus.config(jobs, itself=itself)))
        for name, rules in prometheus.rule_files().items():
            around.write(f"prometheus/rules/{name}.yml", dump(rules))

    def command(self, around: Surroundings) -> list[str]:
        """On loopback, and with room for exemplars."""
        return [
            self.program() or self.programs[0],
            f"--config.file={around.folder}/prometheus/prometheus.yml",
            f"--storage.tsdb.path={around.folder}/prometheus/data",
            "--storage.tsdb.retention.time=7d",
            f"--web.listen-address=127.0.0.1:{around.ports['prometheus']}",
            "--enable-feature=exemplar-storage",
        ]


class Jaeger(Tool):
    """Takes the traces of all services, keeps them in memory, and shows them."""

    service = Service(
        name="jaeger",
        kind="tool",
        port=16686,
        offset=21,
        doors=(
            Door(name=_OTLP, setting="", port=4318, offset=22),
            Door(name=_SPANS, setting="", port=8889, offset=23),
        ),
    )
    programs = ("jaeger",)
    to_get = "version 2 from jaegertracing.io/download, as `jaeger` on the PATH"

    def configure(self, around: Surroundings) -> None:
        """Where it listens."""
        places = jaeger.Places(
            screen=f"127.0.0.1:{around.ports['jaeger']}",
            otlp_http=f"127.0.0.1:{around.ports[_OTLP]}",
            otlp_grpc="",
            span_metrics=f"127.0.0.1:{around.ports[_SPANS]}",
            prometheus=around.url("prometheus"),
        )
        around.write("jaeger/jaeger.yml", dump(jaeger.config(places)))

    def command(self, around: Surroundings) -> list[str]:
        """Its file says all."""
        return [self.program() or self.programs[0], "--config", f"{around.folder}/jaeger/jaeger.yml"]


class Grafana(Tool):
    """Shows the boards to whoever sits at this machine; nobody can log in, or change them."""

    service = Service(name="grafana", kind="tool", port=3000, offset=24)
    programs = ("grafana", "grafana-server")
    to_get = "see grafana.com/docs/grafana/latest/setup-grafana/installation"

    def configure(self, around: Surroundings) -> None:
        """Its sources and the boards."""
        sources = grafana.sources(around.url("prometheus"), around.url("jaeger"))
        provider = grafana.provider(f"{around.folder}/grafana/boards")
        around.write("grafana/provisioning/datasources/bookstore.yml", dump(sources))
        around.write("grafana/provisioning/dashboards/bookstore.yml", dump(provider))
        for board in BOARDS:
            around.write(f"grafana/boards/{board.uid}.json", board.json())

    def command(self, around: Surroundings) -> list[str]:
        """With its own files where its package has put them."""
        del around
        program = Path(self.program() or self.programs[0])
        homes = (Path("/usr/share/grafana"), program.resolve().parent.parent)
        home = next((home for home in homes if (home / "conf" / "defaults.ini").is_file()), None)
        verb = ["server"] if program.name == "grafana" else []
        return [str(program), *verb, *(["--homepath", str(home)] if home else [])]

    def settings(self, around: Surroundings) -> dict[str, str]:
        """It keeps to the state folder and to loopback, and tells nobody."""
        folder = around.folder / "grafana"
        return {
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(around.ports["grafana"]),
            "GF_PATHS_DATA": str(folder / "data"),
            "GF_PATHS_LOGS": str(folder / "logs"),
            "GF_PATHS_PLUGINS": str(folder / "plugins"),
            "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(folder / "boards" / f"{BOARDS[0].uid}.json"),
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
            "GF_AUTH_DISABLE_LOGIN_FORM": "true",
            "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        }


TOOLS: Final[tuple[Tool, ...]] = (Prometheus(), Jaeger(), Grafana())


def tool_of(name: str) -> Tool:
    """The tool of that name."""
    return next(tool for tool in TOOLS if tool.service.name == name)


def with_tools(topology: Topology) -> Topology:
    """The same with all tools that are here."""
    found = (tool.service for tool in TOOLS if tool.program())
    return replace(topology, services=(*topology.services, *found))


def missing() -> list[str]:
    """A line for each tool that isn't here, with how one gets it."""
    return [
        f"{tool.service.name} isn't installed, and so isn't started: {tool.to_get}"
        for tool in TOOLS
        if not tool.program()
    ]


def traces_to(ports: Mapping[str, int]) -> dict[str, str]:
    """Where services send their spans: to a Jaeger that is started with them, or else to the monitor."""
    port = ports.get(_OTLP) or ports.get("monitor-1")
    return {_ENDPOINT: f"http://127.0.0.1:{port}"} if port else {}


def own_spans(monitor: str, caller: Mapping[str, str]) -> str:
    """How a monitor here sends its spans: not at all if it takes everybody's, or it would be full of its own.

    It gives ids all the same: what it is asked, and what it asks of others for that, is one trace.
    """
    return "none" if caller.get(_ENDPOINT) == monitor else caller.get(_EXPORTER, "")
