"""One running system for all tests that drive it from outside."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.status import take_status
from bookstore.service.testing.otlp import Receiver
from bookstore.stores.process import ProcessId

OUTSIDE = ("DATABASE_URL", "REDIS_URL")


@contextmanager
def guarded(process, guardian):
    """Should this run of tests be killed, or run out of time, this process ends with all that it started."""
    identity = ProcessId.of(process.pid)
    if identity is None:  # it was quick
        yield
        return
    guardian.watch(identity)
    try:
        yield
    finally:
        guardian.forget(identity)


class Bookstore:
    """The `bookstore` command on a state folder of its own; what it starts doesn't outlive the tests."""

    def __init__(self, state, guardian, **settings):
        self.state = Path(state)
        self.guardian = guardian
        self.settings = settings

    @property
    def environment(self):
        """The caller's, without what would lead to other stores."""
        return {name: value for name, value in os.environ.items() if name not in OUTSIDE} | {
            "BOOKSTORE_STATE": str(self.state),
            **self.settings,
        }

    def command(self, *words):
        """The command line, with this very interpreter."""
        return [sys.executable, "-m", "bookstore.lab", *words]

    @contextmanager
    def begin(self, command, **how):
        """A command that goes on while the block lasts; it and all that it starts are watched."""
        how = {"env": self.environment, "text": True, **how}
        with subprocess.Popen(command, **how) as process, guarded(process, self.guardian):
            yield process
            # A detached system isn't ours any more, so it has to be watched by itself.
            if supervisor := StateFolder(self.state).lock.holder():
                self.guardian.watch(supervisor)

    def finish(self, command, *, typed=None, timeout=100, **how):
        """Run a command to its end."""
        pipe = subprocess.PIPE
        with self.begin(command, stdin=pipe, stdout=pipe, stderr=pipe, **how) as process:
            try:
                stdout, stderr = process.communicate(typed, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def run(self, *words, typed=None):
        """Run a verb to its end."""
        return self.finish(self.command(*words), typed=typed)

    def up(self, *words):
        """Start everything, and return when all is healthy."""
        result = self.run("up", "--detach", *words)
        assert result.returncode == 0, result.stdout + result.stderr

    def status(self):
        """What `status --json` says, without a process for each look."""
        return msgspec.to_builtins(take_status(StateFolder(self.state)).status)

    def printed_status(self):
        """What `status --json` prints."""
        return json.loads(self.run("status", "--json").stdout)

    def services(self):
        """The rows of the status by instance."""
        return {row["instance"]: row for row in self.status()["services"]}

    def url(self, instance):
        """Where an instance is reached."""
        return self.services()[instance]["url"]


@pytest.fixture(scope="session")
def eventually():
    """Wait for a condition; the test's own timeout ends a wait in vain. A look may ask every service."""

    def wait(condition):
        while not (value := condition()):
            time.sleep(0.1)
        return value

    return wait


@pytest.fixture(scope="session")
def receiver():
    """What the shared system sends its traces to."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="session")
def bookstore(tmp_path_factory, receiver, store_guardian):
    """The whole system, started once for the run. Whoever breaks a part waits until it is healthy again."""
    state = tmp_path_factory.mktemp("shared") / "state"
    made = Bookstore(
        state, store_guardian, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_BSP_SCHEDULE_DELAY="100"
    )
    made.up()
    yield made
    made.run("down")


@pytest.fixture
def private_bookstore(tmp_path, store_guardian):
    """A system for this test alone, not started yet."""
    made = Bookstore(tmp_path / "state", store_guardian)
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def stopped_bookstore(tmp_path_factory, store_guardian):
    """A system for one file of tests, each of which leaves it stopped: its databases are made once."""
    made = Bookstore(tmp_path_factory.mktemp("stopped") / "state", store_guardian)
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def plain_bookstore(tmp_path_factory, store_guardian):
    """A system for one file of tests, as `bookstore up` starts it for anybody."""
    made = Bookstore(tmp_path_factory.mktemp("plain") / "state", store_guardian)
    made.up()
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def observed_bookstore(tmp_path_factory, store_guardian):
    """A system for one file of tests, with the tools that are found here looking on."""
    made = Bookstore(tmp_path_factory.mktemp("observed") / "state", store_guardian)
    made.up("--observe")
    yield made
    made.run("down")


@pytest.fixture
def client():
    """An HTTP client that waits as long as a patient user would."""
    with httpx.Client(timeout=10, trust_env=False) as made:
        yield made
