"""Definitions are checked before anything is done, and Chaos Toolkit takes them too."""

import copy
import json
from importlib.resources import files

import pytest

from bookstore.lab.experiments.definition import MODULES, library, parse
from bookstore.lab.failures import LabError

FILES = sorted((files("bookstore.lab.experiments") / "definitions").iterdir(), key=lambda path: path.name)
GOOD = json.loads(next(path for path in FILES if path.name == "worker-killed.json").read_text())


def test_there_are_enough_and_one_must_be_unknown():
    found = library()
    assert len(found) >= 20
    assert [name for name, named in found.items() if named.experiment.ours.expected == "unknown"] == [
        "nothing-bites"
    ]
    assert {"worker", "redis", "postgres", "supplier", "books", "gateway", "load", "null"} <= {
        tag for named in found.values() for tag in named.experiment.tags
    }


def test_every_one_of_them_takes_everything_back():
    for named in library().values():
        assert named.experiment.rollbacks
        assert named.experiment.runtime.rollbacks == {"strategy": "always"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_chaos_toolkit_takes_it(path):
    experiment = pytest.importorskip("chaoslib.experiment", reason="chaostoolkit-lib isn't here")
    experiment.ensure_experiment_is_valid(json.loads(path.read_text()))


def spoiled(*keys, value):
    made = copy.deepcopy(GOOD)
    place = made
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return json.dumps(made).encode()


PROVIDER = ("method", 0, "provider")


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        spoiled(*PROVIDER, "func", value="format_the_disk"),
        spoiled(*PROVIDER, "module", value="os"),
        spoiled(*PROVIDER, "module", value="bookstore.lab.experiments.bench"),
        spoiled(*PROVIDER, "arguments", value={"who": "worker"}),
        spoiled(*PROVIDER, "type", value="process"),
        spoiled("extensions", value=[]),
        spoiled("extensions", 0, "invariants", value={}),
        spoiled("extensions", 0, "invariants", value={"no_fun": {}}),
        spoiled("extensions", 0, "invariants", value={"answer_within": {"minutes": 1}}),
        spoiled("extensions", 0, "load", "rate", value=0),
        spoiled("extensions", 0, "load", "door", value="http://example.com"),
        spoiled("extensions", 0, "phases", "fault", value=-1),
        spoiled("extensions", 0, "surprise", value=1),
    ],
)
def test_what_makes_no_sense_is_refused(text):
    with pytest.raises(LabError):
        parse("mine", text)


def test_only_actions_and_probes_are_for_definitions():
    assert MODULES == ("bookstore.lab.experiments.actions", "bookstore.lab.experiments.probes")


def test_a_changed_definition_has_another_digest():
    first, second = (parse("x", spoiled("title", value=title)) for title in ("one", "two"))
    assert first.digest != second.digest
