"""The table of rules is whole: each is met by a case of its own, and none is met that isn't there."""

import importlib.util
from pathlib import Path

import pytest

from bookstore.lab.contracts.rules import RULES, Effect
from bookstore.lab.contracts.versions import Version, demanded, read_version, step

BREAKING, ADDITIVE, NEUTRAL = Effect.BREAKING, Effect.ADDITIVE, Effect.NEUTRAL
ELSEWHERE = {"body-became-required", "shape-removed", "shape-added"}
"""Rules with a test of their own in test_operations.py."""


def cases(file):
    spec = importlib.util.spec_from_file_location(file, Path(__file__).with_name(f"{file}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {case[0] for case in module.CASES}


def test_every_rule_has_a_case():
    assert cases("test_shapes") | cases("test_operations") | ELSEWHERE == set(RULES)


@pytest.mark.parametrize(
    ("before", "effect", "word", "version"),
    [
        ("1.4.2", BREAKING, "major", "2.0.0"),
        ("1.4.2", ADDITIVE, "minor", "1.5.0"),
        ("1.4.2", NEUTRAL, "patch", "1.4.3"),
        ("0.4.2", BREAKING, "minor", "0.5.0"),
        ("0.4.2", ADDITIVE, "patch", "0.4.3"),
        ("0.4.2", NEUTRAL, "patch", "0.4.3"),
    ],
)
def test_the_version_that_a_change_asks_for(before, effect, word, version):
    assert step(read_version(before), effect) == word
    assert str(demanded(read_version(before), effect)) == version


@pytest.mark.parametrize("text", ["1", "1.2", "1.2.3rc1", "01.2.3", "v1.2.3", "", "1.2.3.4"])
def test_what_is_no_version(text):
    assert read_version(text) is None


def test_versions_are_ordered_by_number():
    assert Version(0, 10, 0) > Version(0, 9, 9)
