"""What can be said on the command line, and where."""

import io
import json
import sys

import pytest

from bookstore.lab import __main__ as command
from bookstore.lab.failures import Exit
from bookstore.lab.system import commands


@pytest.fixture
def say(monkeypatch, capfd):
    """Says words to `bookstore`; gives the exit code and all that was printed."""

    def say(*words):
        monkeypatch.setattr(sys, "argv", ["bookstore", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        printed = capfd.readouterr()
        return ended.value.code, printed.out + printed.err

    return say


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["up", "--workers", "0"], "a number from 1 to 16"),
        (["up", "--workers", "many"], "a number from 1 to 16"),
        (["load", "--orders", "2", "--mode", "nope"], "'nope' is none of normal, slow, error, down, flaky"),
        (["experiment", "show"], "Name one of `bookstore experiment list`"),
        (["experiment", "run", "--all", "--tag", "quick"], "No experiment has the tag 'quick'"),
        (["experiment", "run", "nothing-bites", "--port-base", "65535"], "from 1024 to 65000"),
        (
            ["experiment", "run", "--json", "nothing-bites", "--yes"],
            "unrecognized arguments: nothing-bites --yes",
        ),
        (["scenario", "run", "000", "--port-base", "80"], "from 1024 to 65000"),
        (["status", "--json", "books"], "unrecognized arguments: books"),
        (["load", "--orders", "1000001"], "has 1,000,000 at the most"),
        (["load", "--mix", "order=inf"], "isn't a mix"),
        (["load", "--gateway", "http://localhost:door"], "can't be the gateway"),
        (["load", "--gateway", "http://example.com:80"], "isn't this machine"),
        (["logs", "-n", "-1"], "a whole number from 0 on"),
        (["orders"], "Try `bookstore orders queue --help`"),
        (["orders", "serve"], "Try `bookstore orders queue --help`"),
        (["gateway", "serve"], "Try `bookstore gateway check FILE`"),
    ],
)
def test_what_cannot_be_done_is_wrong_usage_and_says_what_can(say, words, says):
    code, printed = say(*words)
    assert (code, says in printed) == (Exit.USAGE, True), printed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["orders", "queue", "--help"], "redrive"),
        (["orders", "queue", "redrive", "-h"], "--all"),
        (["accounts", "keys", "--help"], "rotate"),
        (["gateway", "check", "--help"], "file"),
    ],
)
def test_other_commands_tell_of_themselves_with_nothing_running(say, tmp_path, words, says):
    code, printed = say(*words, "--state", tmp_path / "nothing")
    assert (code, says in printed) == (Exit.OK, True), printed


@pytest.mark.parametrize("form", [["--state", "{}"], ["--state={}"]])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_the_state_folder_may_be_named_anywhere(say, tmp_path, form, at):
    words = ["orders", "queue", "dead", "--json"]
    words[at:at] = [part.format(tmp_path / "here") for part in form]
    code, printed = say(*words)
    assert (code, f"with its state in {tmp_path / 'here'}" in printed) == (Exit.NOT_RUNNING, True), printed


@pytest.mark.parametrize(
    "words",
    [["run", "a", "b", "--json"], ["run", "--json", "a", "b"], ["run", "a", "--json", "--tag", "x", "b"]],
)
@pytest.mark.parametrize("verb", ["experiment", "scenario"])
def test_names_may_stand_behind_options(monkeypatch, say, verb, words):
    if verb == "scenario":
        words = [word for word in words if word not in {"--tag", "x"}]
    seen = []
    monkeypatch.setattr(commands, "run", lambda arguments: seen.append(arguments) or Exit.OK)
    say(verb, *words)
    assert [(each.names, each.json) for each in seen] == [(["a", "b"], True)]


def test_who_ends_the_question_has_not_agreed(monkeypatch, say, tmp_path):
    """Ctrl-D, where `reset` asks whether all data may go."""
    (tmp_path / "supervisor").touch()
    (tmp_path / "redis").mkdir()
    terminal = io.StringIO("")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    code, printed = say("reset", "--state", tmp_path)
    assert (code, "nothing was removed" in printed, (tmp_path / "redis").is_dir()) == (
        Exit.FAILED,
        True,
        True,
    )


def test_a_name_that_no_folder_can_have(say, tmp_path):
    code, printed = say("status", "--state", tmp_path / ("long" * 100))
    assert (code, "can't be used: File name too long" in printed) == (Exit.FOLDER, True), printed


def test_workers_are_replicas(monkeypatch, say):
    seen = []
    monkeypatch.setattr(commands, "run", lambda arguments: seen.append(arguments.replicas) or Exit.OK)
    say("up", "--workers", 2, "--replicas", "books=3")
    assert dict(*seen) == {"orders-worker": 2, "books": 3}


def test_guides_are_listed_for_scripts_too(say):
    code, printed = say("scenario", "list", "--json")
    assert code == Exit.OK
    assert [guide["number"] for guide in json.loads(printed)] == ["000", "001", "002", "003", "004"]
