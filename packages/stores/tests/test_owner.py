"""Nothing outlives its owner: what a killed process leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bookstore.stores.guardian import Guardian
from bookstore.stores.process import ProcessId, Program, spawn

SLEEPER = [sys.executable, "-I", "-S", "-c", "import signal; print('on', flush=True); signal.pause()"]

OWNER = """
import json, os, signal, sys
from pathlib import Path
from bookstore.stores.guardian import Guardian
from bookstore.stores.process import Program, spawn
guardian = Guardian()
folder = Path(sys.argv[1]); folder.mkdir(); guardian.watch_folder(folder)
process, identity = spawn(
    Program(argv=json.loads(sys.argv[2]), folder=Path("/")), output=1, record=guardian.watch)
print(json.dumps([guardian.pid, identity.pid, identity.started]), flush=True)
signal.pause()
"""


def eventually(condition):
    while not condition():  # the test's own timeout ends it
        time.sleep(0.01)


@pytest.fixture
def owner(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path / "data", json.dumps(SLEEPER)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        first, second = process.stdout.readline(), process.stdout.readline()
        guardian, pid, started = json.loads(second if first == "on\n" else first)
        yield process, ProcessId.of(guardian), ProcessId(pid, started)
        process.kill()


def test_a_killed_owner_leaves_neither_process_nor_folder(owner, tmp_path):
    process, guardian, child = owner
    assert child.alive
    process.kill()
    eventually(lambda: not child.alive and not guardian.alive)
    assert not (tmp_path / "data").exists()


def test_a_frozen_child_goes_too(owner):
    process, _, child = owner
    child.send(signal.SIGSTOP)
    process.kill()
    eventually(lambda: not child.alive)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_it_holds_when_the_guardian_was_killed_first(owner):
    process, guardian, child = owner
    guardian.send(signal.SIGKILL)
    process.kill()
    eventually(lambda: not child.alive)


def test_nothing_begins_before_it_is_on_record(tmp_path):
    seen = []

    def refuse(identity):
        assert identity.alive
        seen.append(identity)
        raise RuntimeError("the disk is full")

    with (tmp_path / "out").open("wb") as output, pytest.raises(RuntimeError):
        spawn(Program(argv=SLEEPER, folder=tmp_path), output=output.fileno(), record=refuse)
    assert not seen[0].alive
    assert (tmp_path / "out").read_bytes() == b""


def test_a_program_gets_its_environment_and_nothing_else(tmp_path):
    code = "import os; print(dict(os.environ), os.getsid(0) == os.getpid(), os.umask(0), os.getcwd())"
    program = Program(
        argv=[sys.executable, "-I", "-S", "-c", code],
        folder=tmp_path,
        environment={"PORT": "1", "LC_ALL": "C"},
    )
    with (tmp_path / "out").open("wb") as output:
        process, identity = spawn(program, output=output.fileno(), record=lambda _: None)
    assert process.wait() == 0
    assert not identity.alive
    text = (tmp_path / "out").read_text()
    assert "'PORT': '1'" in text
    assert "HOME" not in text
    assert f"True {0o077} {tmp_path}" in text


def test_a_program_that_isnt_there_says_so(tmp_path):
    with (tmp_path / "out").open("wb") as output:
        process, _ = spawn(
            Program(argv=["/no/such"], folder=tmp_path), output=output.fileno(), record=lambda _: None
        )
    assert process.wait() == 127
    assert "cannot start /no/such" in (tmp_path / "out").read_text()


def test_a_pid_that_was_given_out_again_is_somebody_else():
    me = ProcessId.of(os.getpid())
    assert me.alive
    assert not ProcessId(me.pid, "another boot:1").alive
    assert not ProcessId(me.pid, "another boot:1").send(signal.SIGKILL)
    assert ProcessId.of(2**22 + 1) is None


def test_a_closed_guardian_is_gone():
    guardian = Guardian()
    identity = ProcessId.of(guardian.pid)
    guardian.close()
    assert not identity.alive
