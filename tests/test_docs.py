"""Documents tell the truth: their commands run, in their order; tables and links match what is there."""

import json
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import httpx
import msgspec
import pytest

from bookstore.accounts.settings import AccountsSettings
from bookstore.books.settings import BooksSettings
from bookstore.gateway.settings import GatewaySettings
from bookstore.lab.system.topology import SYSTEM
from bookstore.monitor.settings import MonitorSettings
from bookstore.orders.settings import OrdersSettings
from bookstore.playground.settings import PlaygroundSettings
from bookstore.service.settings import Settings
from bookstore.stores.ports import any_free
from bookstore.supplier.settings import SupplierSettings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("*/*/README.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")}
)
BLOCK = re.compile(r"^```(sh|bash|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

ELSEWHERE = {
    "uv run pytest": "this very run",
    ".ci/run": "begins with this very run",
    ".ci/run lint types imports lock": "steps of a plain .ci/run",
    "MEMBER=apps/books .ci/run alone": "a job of the workflow; tests that run here too",
    ".ci/run lowest wheels contract experiments": "jobs of the workflow",
    "uv run pytest apps/books": "part of this very run",
    "python3 deploy/k8s/overlays/local/make_secrets.py": "leaves files; tests/deploy/k8s runs it in a copy",
    "uv run pytest tests/test_workspace.py tests/test_imports.py": "part of this very run",
    "uv run ruff check --fix": "changes files; a plain .ci/run runs it without --fix",
    "uv run ruff format": "changes files; a plain .ci/run runs it with --check",
    "uv run bookstore contracts write": "changes files; tests/test_contracts.py compares them",
    "uv run python -m bookstore.lab.observe otel": "changes files; tests/test_observe.py compares them",
    "uv run python -m bookstore.lab.observe otel docs/metrics.md": "as above, the table too",
    ".ci/run observe": "a job of the workflow; needs a Prometheus",
    ".ci/run console": "a job of the workflow; needs a Chromium",
    "uv run python -m bookstore.service.example apps": "changes files; tests/deploy compares them",
    ".ci/run compiled": "a job of the workflow; takes minutes",
    ".ci/run deploy": "a job of the workflow",
    ".ci/run stores": "a job of the workflow; needs a PgBouncer",
    "uv lock": "changes a file; tests/test_workspace.py runs it with --check",
    "uv run python -m docs.site fill": "changes files; tests/docs/test_pages.py compares them",
    "uv run --group docs python -m docs.site build": "tests/docs/test_site.py does, in `.ci/run docs`",
    ".ci/run docs": "a job of the workflow",
    "pip install uv": "needs an index, and whoever runs this has it",
}
"""Commands that aren't run here, each with the reason."""

CLUSTER = re.compile(r"^(minikube|kubectl|docker|eval \$\(minikube|for app in|curl \$\(minikube) ?")
"""What needs a cluster, or a Docker: tests/deploy looks at what is applied, and runs it without either."""

ELSEWHERE_BY_FORM = {
    r"uv run bookstore experiment run [a-z -]+": "a minute each; a page can't be made that names one that "
    "isn't there, and `.ci/run experiments` runs those tagged fast",
    r"uv run pytest (\S+/test_\w+\.py ?)+": "part of this very run, or of `.ci/run long`",
    r"uv run .*\bbench/\w+\.py\b.*": "a measurement, which takes minutes and wants a quiet machine",
}
"""The same for what pages have many of."""

TYPED = {
    ROOT / "docs/start.md",
    *(ROOT / "docs").glob("patterns/*.md"),
    *(ROOT / "docs").glob("guides/*.md"),
    *(ROOT / "docs").glob("operations/*.md"),
}
"""Pages that are typed from their first line to their last, each in one shell: by `.ci/run docs`."""


def is_run_elsewhere(command):
    """Whether there is a reason not to run it here."""
    return command in ELSEWHERE or any(re.fullmatch(form, command) for form in ELSEWHERE_BY_FORM)


SERVER = re.compile(r"uv run (books|orders|orders-worker|gateway|supplier|monitor|playground)$")

PORTS = [*SYSTEM.services, *(door for service in SYSTEM.services for door in service.doors)]
"""Whatever has a port and a row of its own."""


REHEARSED = ROOT / "docs/releasing.md"
"""Typed from top to bottom on a clone, by tests/test_releasing.py."""


def blocks(document):
    return [] if document == REHEARSED else BLOCK.findall(document.read_text())


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def commands(script):
    """The commands of a script, each with all its lines."""
    return list(_commands(script))


def _commands(script):
    command = ""
    for line in script.splitlines():
        command += line + "\n"
        whole = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
        if whole.returncode == 0 and not line.endswith("\\"):
            if command.strip():
                # pip needs an index; whoever runs this has uv.
                yield command.strip().removeprefix("pip install uv && ")
            command = ""
    assert not command, f"doesn't end: {command}"


ELSEWHERE |= {
    command: "tests/stores/test_backup.py runs it, while orders come in"
    for _, text in blocks(ROOT / "docs/operations/backup.md")
    for command in commands(text)
}


class Reader:
    """Somebody who types in what a document says, on a machine where the usual ports may be taken."""

    def __init__(self, bookstore, home):
        self.bookstore = bookstore
        (home / ".curlrc").write_text('silent\nshow-error\nfail-with-body\nnoproxy = "*"\n')
        self.environment = bookstore.environment | {
            "CURL_HOME": str(home),
            # The environment is as it should be, and may be in use.
            "UV_NO_SYNC": "1",
        }
        self.said = ""
        self._urls = {}

    def types(self, command):
        result = self.bookstore.finish(
            ["bash", "-euo", "pipefail", "-c", self.here(command)], cwd=ROOT, env=self.environment
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        self.said = result.stdout
        if "bookstore" in command:  # which may have started the system, or ended it
            self._urls = {}

    def here(self, command):
        """The command with the ports that the services have got."""
        if "localhost:" not in command:
            return command
        self._urls = self._urls or self.running()
        for one in PORTS:
            if self._urls[one.name].startswith("http"):
                command = command.replace(f"http://localhost:{one.port}", self._urls[one.name])
        assert "localhost:" not in command, f"nobody is there: {command}"
        return command

    def running(self):
        """Where all are, in a system that runs."""
        if self.bookstore.status()["state"] != "running":
            self.bookstore.up()
        return {row["name"]: row["url"] for row in self.bookstore.status()["services"]}


ENDS = re.compile(r"^uv run bookstore (down|reset|demo)\b", re.MULTILINE)
"""A document that ends the system has one of its own; all others find the same one."""


@pytest.fixture
def reader(request, document, tmp_path):
    ends = any(ENDS.search(text) for _, text in blocks(document))
    reader = Reader(request.getfixturevalue("private_bookstore" if ends else "plain_bookstore"), tmp_path)
    yield reader
    if not ends:
        # The next one finds the supplier as it usually is.
        control = reader.running()["supplier-control"]
        httpx.post(f"{control}/set_failure_mode", json={"mode": "normal"}).raise_for_status()


@pytest.mark.parametrize(
    "document",
    [each for each in DOCUMENTS if blocks(each) and each not in TYPED],
    ids=lambda path: str(path.relative_to(ROOT)),
)
@pytest.mark.timeout(240)
def test_commands_do_as_they_are_told(document, reader):
    for kind, text in blocks(document):
        if kind == "json":
            assert same_shape(json.loads(text), json.loads(reader.said)), reader.said
            continue
        for command in commands(text):
            if not is_run_elsewhere(command) and not (SERVER.search(command) or CLUSTER.search(command)):
                reader.types(command)


def same_shape(shown, said):
    """Whether an answer that a document shows has the fields and kinds of the real one."""
    if isinstance(shown, dict):
        return list(shown) == list(said) and all(same_shape(shown[key], said[key]) for key in shown)
    if isinstance(shown, list):
        return all(same_shape(shown[0], each) for each in said)
    return type(shown) is type(said)


@every_document
def test_every_block_says_what_it_is(document):
    """What says nothing, or is only indented, is not looked at, and may be a command that nobody runs."""
    text = document.read_text()
    fenced = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert re.findall(r"^\n {4}\S.*", fenced.sub("", text), re.MULTILINE) == []
    opened = re.findall(r"^```(.*)$", text, re.MULTILINE)[::2]
    assert set(opened) <= {"sh", "bash", "json", "python", "text", "toml", "mermaid", "sql"}, opened


def test_the_lab_tells_of_every_verb_and_of_no_other():
    helped = subprocess.run(
        [sys.executable, "-m", "bookstore.lab", "--help"], capture_output=True, text=True, check=True
    ).stdout
    verbs = set(re.findall(r"^    (\w+)(?: {2,}|$)", helped, re.MULTILINE))
    told = re.findall(r"^bookstore (\w+)", (ROOT / "apps/lab/README.md").read_text(), re.MULTILINE)
    assert set(told) == verbs


def test_no_exception_is_out_of_date():
    told = {command for document in DOCUMENTS for _, text in blocks(document) for command in commands(text)}
    assert set(ELSEWHERE) <= told


SERVERS = [
    (document, command)
    for document in DOCUMENTS
    for kind, text in blocks(document)
    if kind != "json"
    for command in commands(text)
    if SERVER.search(command)
]


@pytest.mark.parametrize(
    ("document", "command"), SERVERS, ids=[command.rpartition(" ")[2] for _, command in SERVERS]
)
def test_a_service_starts_alone(document, command, postgres_database, client, eventually):
    """With a fresh database and a free port; it leaves in order when it is told to."""
    port = any_free()
    command = re.sub(r"postgresql://\S+", postgres_database, command)
    process = subprocess.Popen(
        ["bash", "-c", f"exec env {command}"],
        cwd=document.parent,
        env=os.environ
        | {
            "PORT": str(port),
            "CONTROL_PORT": str(any_free()),
            "ADMIN_PORT": str(any_free()),
            "DRAIN_ANNOUNCE": "0",
            "UV_NO_SYNC": "1",
        },
        stdout=subprocess.DEVNULL,
    )

    def is_ready():
        assert process.poll() is None, command
        try:
            return client.get(f"http://127.0.0.1:{port}/health/ready").is_success
        except httpx.TransportError:
            return False

    try:
        eventually(is_ready)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_each_service_tells_how_to_start_it_alone():
    assert {SERVER.search(command)[1] for _, command in SERVERS} == {
        "books",
        "gateway",
        "monitor",
        "orders",
        "orders-worker",
        "playground",
        "supplier",
    }


def rows(document, header):
    """The rows of the table under a header, as lists of cells."""
    table = document.read_text().split(header, 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_readme_names_every_service_and_its_port():
    told = {row[0]: int(row[1]) for row in rows(ROOT / "README.md", "| service | port | what it is |")}
    assert told == {one.name: one.port for one in PORTS}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("accounts", AccountsSettings),
        ("books", BooksSettings),
        ("gateway", GatewaySettings),
        ("monitor", MonitorSettings),
        ("orders", OrdersSettings),
        ("playground", PlaygroundSettings),
        ("supplier", SupplierSettings),
    ],
)
def test_a_readme_names_every_setting_and_its_default(name, kind):
    common = {field.name for field in msgspec.structs.fields(Settings)} - {"port"}
    fields = [field for field in msgspec.structs.fields(kind) if field.name not in common]
    told = {
        row[0].strip("`"): row[1] for row in rows(ROOT / "apps" / name / "README.md", "| setting | default |")
    }
    assert told == {field.name.upper(): "" if field.required else _written(field.default) for field in fields}


def _written(default):
    """A default as somebody would set it."""
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)


def test_the_service_kit_names_every_common_setting():
    text = (ROOT / "packages" / "service" / "README.md").read_text()
    names = [
        "OTEL_*" if field.name == "otel" else field.name.upper() for field in msgspec.structs.fields(Settings)
    ]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_catalogue_has_as_many_books_as_the_readme_says():
    books = json.loads((ROOT / "apps/books/src/bookstore/books/catalogue/catalogue.json").read_text())
    assert f"{len(books)} books" in (ROOT / "README.md").read_text()
    assert f"{len(books)} books" in (ROOT / "apps/books/README.md").read_text()


@every_document
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not target.startswith(("http:", "https:", "#")):
            assert (document.parent / target.partition("#")[0]).exists(), target


@every_document
def test_paths_in_the_text_exist(document):
    for path in re.findall(r"`((?:packages|apps|tests|docs|bench)/[\w./-]*\w)`", document.read_text()):
        assert (ROOT / path).exists(), path


def test_decisions_are_numbered_and_listed():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    for path in records:
        title = path.read_text().splitlines()[0]
        assert re.fullmatch(rf"# {path.name[:4]}\. .+", title), path.name
        assert f"[{title[2:]}]({path.name})" in index, path.name
