"""A system of stand-ins, started by the real command."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.record import Record
from bookstore.stores.ports import any_free
from bookstore.stores.process import ProcessId

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture
def eventually():
    """Wait for a condition; the test's own timeout ends a wait in vain."""

    def wait(condition):
        while not condition():
            time.sleep(0.01)

    return wait


@pytest.fixture
def driver():
    """The command for stand-ins."""
    return DRIVER


class System:
    """The command on a state folder of its own."""

    def __init__(self, path, guardian):
        self.folder = StateFolder(path)
        self.guardian = guardian
        self.services = []
        self.databases = {}
        self.members = {}
        self.environment = {}

    def add(self, name, mode="", **more):
        self.services.append({"name": name, "port": any_free(), "settings": {"MODE": mode}, **more})

    def add_store(self, name):
        self.services.append({"name": name, "kind": "store", "port": any_free()})

    def environ(self):
        rows = json.dumps({"services": self.services, "databases": self.databases, "members": self.members})
        here = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
        }
        return {**here, "STANDINS": rows, "BOOKSTORE_STATE": str(self.folder.path), **self.environment}

    def run(self, *words, **more):
        return subprocess.run(
            [sys.executable, DRIVER, *words],
            env=self.environ(), capture_output=True, text=True, timeout=60, check=False, **more,
        )  # fmt: skip

    def begin(self, *words):
        return subprocess.Popen(
            [sys.executable, DRIVER, *words],
            env=self.environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def up(self):
        return self.up_with()

    def up_with(self, *words):
        result = self.run("up", "--detach", *words)
        assert result.returncode == 0, result.stdout + result.stderr
        # Should this run of tests be killed, it ends as well.
        self.guardian.watch(self.supervisor)
        return result.stdout

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    @property
    def supervisor(self):
        return self.folder.lock.holder()

    @property
    def rows(self):
        record = Record.read(self.folder.record)
        return {row.instance: row for row in record.rows} if record else {}

    def environment_of(self, instance):
        """What the stand-in says of its own environment."""
        with urllib.request.urlopen(f"{self.rows[instance].url}/health") as answer:  # noqa: S310 - our own
            return json.loads(answer.read())["env"]

    @property
    def credentials(self):
        return json.loads(self.folder.credentials.read_text())

    @property
    def asked(self):
        """What stand-ins were asked as commands: the words, their standard input, the database."""
        path = self.folder.path / "asked"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def family(self):
        """Everything that runs now: supervisor, guardian, instances and their children."""
        return self.supervisor.family()


def ended(system):
    """A system for as long as a fixture lives."""
    yield system
    system.run("down")
    holder = system.supervisor if system.folder.exists else None
    if holder:
        holder.send_family(signal.SIGKILL)


@pytest.fixture
def system(tmp_path, store_guardian):
    yield from ended(System(tmp_path / "state", store_guardian))


@pytest.fixture(scope="module")
def shared_system(tmp_path_factory, store_guardian):
    """One for a file of tests."""
    yield from ended(System(tmp_path_factory.mktemp("shared") / "state", store_guardian))


@pytest.fixture
def orphan():
    """A process that a supervisor might have left behind."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]) as process:
        yield ProcessId.of(process.pid)
        process.kill()
