"""Experiments against the real system: what they find when there is a bug, and what is left of them."""

import json
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import psutil
import pytest

SABOTAGE = Path(__file__).with_name("sabotage.py")
DEFINITIONS = files("bookstore.lab.experiments") / "definitions"

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture
def state(private_bookstore):
    return private_bookstore.state


def journal(state):
    return json.loads(next(state.glob("runs/*/*/journal.json")).read_text())


def leftovers(state):
    """Processes that belong to a state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(state) in " ".join([*process.cmdline(), process.cwd()]):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.parametrize(
    ("bug", "name", "change", "invariant"),
    [
        ("acknowledged-before-the-commit", "worker-killed", {}, "no_loss"),
        (
            "a-new-key-each-time",
            "supplier-resets-after-the-effect",
            {"parameters": {"rate": 0.8}},
            "no_duplicate",
        ),
        ("retry-without-budget", "supplier-error", {}, "retries_bounded"),
        ("breaker-that-never-opens", "supplier-down", {}, "circuit_opens_and_closes"),
        ("monitor-that-lies", "supplier-down", {}, "monitor_names"),
        ("no-fence", "worker-frozen-past-its-lease", {}, "one_change"),
    ],
)
def test_a_real_bug_makes_its_invariant_invalid(bug, name, change, invariant, *, private_bookstore, tmp_path):
    definition = json.loads((DEFINITIONS / f"{name}.json").read_text())
    definition["method"][0]["provider"]["arguments"] |= change
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(definition))
    state = private_bookstore.state
    done = private_bookstore.finish([sys.executable, SABOTAGE, "experiment", bug, path, state], timeout=230)
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = {each["invariant"]: each for each in journal(state)["extensions"][0]["verdicts"]}
    assert verdicts[invariant]["judgement"] == "invalid", verdicts
    assert leftovers(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_everything_back(number, private_bookstore):
    state = private_bookstore.state
    command = private_bookstore.command("experiment", "run", "redis-frozen", "--state", state)
    with private_bookstore.begin(command, stdout=subprocess.PIPE) as run:
        for line in run.stdout:
            if line.rstrip().endswith("observe"):
                # Impatient, as people are: the second one must change nothing.
                run.send_signal(number)
                run.send_signal(number)
                break
        rest = run.stdout.read()
        assert run.wait() == 130, rest
    written = journal(state)
    assert written["status"] == "interrupted"
    assert [step["status"] for step in written["rollbacks"]] == ["succeeded"]
    assert written["extensions"][0]["restored"]
    assert leftovers(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_guide_takes_everything_back(number, private_bookstore):
    state = private_bookstore.state
    command = private_bookstore.command("scenario", "run", "002", "--progress", "json", "--state", state)
    with private_bookstore.begin(command, stdout=subprocess.PIPE) as run:
        for line in run.stdout:
            if json.loads(line)["type"] == "seen":
                run.send_signal(number)
                break
        last = run.stdout.readlines()[-1]
        assert run.wait() == 130, last
    assert json.loads(last)["state"] == "interrupted"
    report = next(state.glob("runs/*-scenarios/report.json"))
    assert json.loads(report.read_text())["judgement"] == "interrupted"
    assert leftovers(state) == []
