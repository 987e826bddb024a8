"""Runs are child processes that tell their story in a file; here short ones in place of the real command."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from bookstore.lab.desk import runs as module
from bookstore.lab.desk.refused import RefusedError
from bookstore.lab.desk.runs import Runs
from bookstore.lab.system.folder import StateFolder
from bookstore.stores.process import ProcessId

TELLER = """
import signal, sys
from bookstore.lab.interruption import as_one
from bookstore.lab.live import Ended, Entered, Machine
name, teller = sys.argv[3], Machine()
as_one()
teller.tell(Entered(phase="check"))
try:
    if name == "000":
        teller.tell(Ended(state="passed", report="a-report"))
    elif name == "001":
        sys.exit("error: Experiments are being run already")
    else:
        signal.pause()
except KeyboardInterrupt:
    teller.tell(Ended(state="interrupted"))
    sys.exit(130)
"""
OWNER = """
import sys
from pathlib import Path
from bookstore.lab.desk import runs
from bookstore.lab.system.folder import StateFolder
runs.COMMAND = (sys.executable, sys.argv[1])
made = runs.Runs(StateFolder(Path(sys.argv[2])))
made.start("scenario", "002")
while not made.last(1)[0].steps:
    pass
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path):
    folder = StateFolder(tmp_path / "state")
    folder.open()
    return folder


@pytest.fixture
def teller(tmp_path):
    path = tmp_path / "teller.py"
    path.write_text(textwrap.dedent(TELLER))
    return str(path)


@pytest.fixture
def runs(state, teller, monkeypatch):
    monkeypatch.setattr(module, "COMMAND", (sys.executable, teller))
    made = Runs(state)
    yield made
    if made.goes_on:
        made._current.begun.process.send(signal.SIGKILL)
        made._current.child.wait()


def over(runs, identity):
    while (run := runs.one(identity)).ended_at is None:
        time.sleep(0.01)
    return run


def test_one_that_comes_to_its_end(runs):
    run = over(runs, runs.start("scenario", "000").id)
    assert (run.kind, run.name, run.state, run.report) == ("scenario", "000", "passed", "a-report")
    assert [(step.title, step.verdict) for step in run.steps] == [("check", "ok")]
    assert runs.last(5) == [run]


def test_one_that_cannot_be_run_says_why(runs):
    run = over(runs, runs.start("scenario", "001").id)
    assert (run.state, run.report) == ("error", None)
    assert run.steps[-1].seen == "error: Experiments are being run already"


def test_one_is_stopped_as_with_ctrl_c(runs):
    run = runs.start("scenario", "002")
    assert (run.state, run.ended_at) == ("running", None)
    while not runs.one(run.id).steps:
        time.sleep(0.01)
    with pytest.raises(RefusedError) as refused:
        runs.start("scenario", "000")
    assert refused.value.status == 409
    runs.stop(run.id)
    stopped = over(runs, run.id)
    assert (stopped.state, stopped.steps[-1].verdict) == ("interrupted", "unknown")
    assert runs.stop(run.id) == stopped
    assert over(runs, runs.start("scenario", "000").id).state == "passed"


@pytest.mark.parametrize(
    ("kind", "name"), [("scenario", "999"), ("experiment", "../000"), ("experiment", "--all")]
)
def test_only_what_is_in_the_catalogue_is_run(runs, kind, name):
    with pytest.raises(RefusedError):
        runs.start(kind, name)
    assert runs.last(5) == []


@pytest.mark.parametrize("identity", ["", "..", "../../credentials", "20260101-000000-000-scenario-000"])
def test_what_nobody_has_run_is_not_there(runs, identity):
    with pytest.raises(RefusedError):
        runs.one(identity)
    with pytest.raises(RefusedError):
        runs.stop(identity)


def test_a_desk_that_dies_interrupts_what_it_runs_and_the_next_one_knows(state, teller):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, teller, state.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as desk:
        assert desk.stdout.readline() == "begun\n"
        children = ProcessId.of(desk.pid).family()[1:]
        assert len(children) == 1
        desk.kill()
    later = Runs(state)
    run = over(later, later.last(1)[0].id)
    assert (run.state, run.steps[-1].verdict) == ("interrupted", "unknown")
    assert not children[0].alive


def test_old_ones_are_forgotten(runs, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    ids = [over(runs, runs.start("scenario", "000").id).id for _ in range(3)]
    assert [run.id for run in runs.last(5)] == ids[:0:-1]
    assert len(list(runs._folder.iterdir())) == 4
