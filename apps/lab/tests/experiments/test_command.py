"""`bookstore experiment` and `bookstore report`: which are run, and what scripts are told."""

import argparse
import json
import shutil
from importlib.resources import files

import pytest

from bookstore.lab.experiments import command
from bookstore.lab.failures import Exit, LabError
from bookstore.lab.report.command import report
from bookstore.lab.system.folder import StateFolder

NULL = files("bookstore.lab.experiments") / "definitions" / "nothing-bites.json"


@pytest.fixture
def folder(tmp_path):
    made = StateFolder(tmp_path / "state")
    made.open()
    return made


def asked(*names, **said):
    words = {"all": False, "tag": None, "json": False, "progress": "text", "port_base": None, "deed": "run"}
    return argparse.Namespace(names=[str(name) for name in names], **(words | said))


def test_each_is_run_once_however_often_it_is_named(tmp_path):
    mine = tmp_path / "nothing-bites.json"
    mine.write_bytes(NULL.read_bytes())
    for words in (
        asked("nothing-bites", mine, "nothing-bites"),
        asked("nothing-bites", all=True, tag="null"),
    ):
        assert [named.name for named in command._chosen(words)] == ["nothing-bites"]
    mine.write_bytes(NULL.read_bytes() + b"\n")
    with pytest.raises(LabError, match="differ are called nothing-bites") as caught:
        command._chosen(asked("nothing-bites", mine))
    assert caught.value.code == Exit.USAGE


def test_all_that_are_named_are_shown(capsys):
    assert command.experiment(asked("nothing-bites", "worker-killed", deed="show"), None) == Exit.OK
    shown = capsys.readouterr().out
    assert shown.count('"steady-state-hypothesis"') == 2


def test_scripts_are_told_what_came_of_it(monkeypatch, capsys, folder, sheet):
    """The report on standard output, and what people read meanwhile beside it."""

    def play(_group, _folder, into, _base, teller):
        shutil.copytree(sheet.folder / sheet.results[0].name, into.folder / sheet.results[0].name)
        into.results += sheet.results
        teller.tell(command.starts())
        return False

    monkeypatch.setattr(command, "_in_one_instance", play)
    monkeypatch.setattr(command, "as_one", lambda: None)
    assert command.experiment(asked("nothing-bites", json=True), folder) == Exit.OK
    printed = capsys.readouterr()
    [run] = folder.runs.iterdir()
    assert printed.out == (run / "report.json").read_text()
    assert json.loads(printed.out)["experiments"][0]["judgement"] == "valid"
    assert "start" in printed.err


def test_what_was_interrupted_at_its_start_has_no_report(monkeypatch, capsys, folder):
    def play(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_in_one_instance", play)
    monkeypatch.setattr(command, "as_one", lambda: None)
    assert command.experiment(asked("nothing-bites"), folder) == Exit.INTERRUPTED
    assert "report.html" not in capsys.readouterr().out
    assert list(folder.runs.iterdir()) == []


def test_a_report_is_of_the_last_run_that_has_something_to_tell(capsys, folder, sheet):
    whole, killed = folder.runs / "20260101-100000-experiments", folder.runs / "20260101-110000-experiments"
    shutil.copytree(sheet.folder / sheet.results[0].name, whole / "worker-killed")
    (killed / "books-killed").mkdir(parents=True)
    assert report(argparse.Namespace(run=None, json=True), folder) == Exit.OK
    assert json.loads(capsys.readouterr().out)["experiments"][0]["experiment"] == "worker-killed"
    (killed / "books-killed" / "journal.json").write_text('{"experiment": {')
    with pytest.raises(LabError, match=r"journal\.json isn't a whole journal"):
        report(argparse.Namespace(run=None, json=True), folder)
