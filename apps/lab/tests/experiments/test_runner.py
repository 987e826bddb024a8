"""Healing is certain: in reverse, whatever fails, and whoever interrupts."""

import asyncio
import json
import time

import pytest

from bookstore.lab.experiments import actions, runner
from bookstore.lab.experiments.bench import BENCH, Bench, Bite
from bookstore.lab.experiments.definition import library, parse
from bookstore.lab.experiments.faults.restore import let_go
from bookstore.lab.experiments.runner import Run, tolerated
from bookstore.lab.experiments.watch import Watch, sample
from bookstore.lab.interruption import uninterrupted
from bookstore.lab.live import People
from bookstore.lab.report.write import read, write
from bookstore.lab.system.folder import StateFolder


@pytest.fixture
def bench(tmp_path):
    made = Bench(StateFolder(tmp_path / "state"))
    token = BENCH.set(made)
    yield made
    BENCH.reset(token)


def activity(name):
    provider = {"type": "python", "module": "bookstore.lab.experiments.actions", "func": name}
    return {"type": "action", "name": name, "provider": provider}


@pytest.fixture
def run(bench, tmp_path, monkeypatch):
    """A run whose three rollbacks write down that they were done; the second one fails."""
    done = []

    def rollback(name):
        async def function():
            done.append(name)
            await asyncio.sleep(0.05)
            if name == "second":
                raise OSError("it can't be done")

        return function

    for name in ("first", "second", "third"):
        monkeypatch.setattr(actions, name, rollback(name), raising=False)
    named = library()["worker-killed"]
    text = json.loads(named.text) | {"rollbacks": [activity(name) for name in ("first", "second", "third")]}
    made = Run(parse("mine", json.dumps(text).encode()), bench, tmp_path, People())
    made.done = done
    return made


async def test_rollbacks_run_in_reverse_and_each_is_tried(run):
    await run._heal()
    assert run.done == ["third", "second", "first"]
    assert [step.status for step in run.journal.rollbacks] == ["succeeded", "failed", "succeeded"]


async def test_nobody_interrupts_the_healing(run):
    task = asyncio.create_task(uninterrupted(run._heal()))
    await asyncio.sleep(0.01)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.done == ["third", "second", "first"]


async def test_what_is_held_is_let_go_of_the_last_one_first(bench):
    done = []

    def end(name):
        async def function():
            done.append(name)

        return function

    bench.kept |= {name: end(name) for name in ("a", "b", "c")}
    await let_go()
    await let_go()
    assert done == ["c", "b", "a"]


async def test_a_proof_that_cannot_be_had_is_none():
    async def proof():
        raise LookupError("gone")

    assert not (await runner._proved("x", Bite("x", proof).proof)).bit


async def test_the_monitor_has_its_time_to_notice_that_a_service_is_well_again(run, bench):
    run.watch = Watch(bench, {}, monitor={"supplier": [(0.0, "DOWN")]})
    run.marks["after"] = time.monotonic()
    waiting = asyncio.create_task(run._until_noticed("supplier"))
    assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    run.watch.monitor["supplier"].append((1.0, "HEALTHY"))
    await asyncio.wait_for(waiting, 20)
    run.watch.monitor["supplier"].append((2.0, "DOWN"))
    run.marks["after"] -= runner.INTERVALS * runner.PROBE_INTERVAL
    await asyncio.wait_for(run._until_noticed("supplier"), 20)  # that was all the time that it had


@pytest.mark.parametrize(
    ("value", "tolerance", "within"),
    [
        (True, True, True),
        (False, True, False),
        (0, 0, True),
        (3, [0, 5], True),
        (6, [0, 5], False),
        (200, 200, True),
    ],
)
def test_tolerances(value, tolerance, within):
    assert tolerated(value, tolerance) == within


def test_a_sample_of_metrics():
    text = '# HELP x\nx{a="1"} 2.0\nx{a="2"} 3\nxy 4\n'
    assert sample(text, 'x{a="2"}') == 3
    assert sample(text, "x") is None


def test_a_report_in_all_its_forms(sheet):
    write(sheet)
    told = json.loads((sheet.folder / "report.json").read_text())["experiments"]
    assert told[0]["judgement"] == "valid"
    assert "| no_loss | valid | all <there> \\| and well |" in (sheet.folder / "report.md").read_text()
    page = (sheet.folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert ">fault</text>" in page
    assert "all &lt;there&gt;" in page
    assert "<script" not in page
    assert "<killed>" not in page
    assert [word for word in page.split('"') if word.startswith("http") and "w3.org" not in word] == []


def test_a_report_is_made_again_from_what_is_on_disk(sheet):
    write(sheet)
    before = (sheet.folder / "report.html").read_text()
    write(read(sheet.folder))
    assert (sheet.folder / "report.html").read_text() == before


@pytest.mark.parametrize(
    ("judgement", "expected", "status", "whole"),
    [
        ("valid", "valid", "completed", "valid"),
        ("unknown", "unknown", "completed", "valid"),
        ("invalid", "valid", "completed", "invalid"),
        ("unknown", "valid", "completed", "unknown"),
        # What can't have been proved was called proved: the lab itself is wrong.
        ("valid", "unknown", "completed", "invalid"),
        ("unknown", "valid", "aborted", "unknown"),
        ("unknown", "unknown", "failed", "unknown"),
    ],
)
def test_the_whole_of_an_experiment(sheet, judgement, expected, status, whole):
    result = sheet.results[0]
    result.journal.status = status
    result.journal.findings.judgement, result.journal.findings.expected = judgement, expected
    assert result.whole == whole
