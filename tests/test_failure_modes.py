"""The list of the queue's known failures names tests that there are, and all that it should."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/decisions/0021-failure-modes-of-the-queue.md"
FOLDERS = ("apps/orders/tests", "tests/orders")
KNOWN = [f"F{number}" for number in range(1, 22)]


def names():
    """The name of each test, as often as it is there."""
    return Counter(
        node.name
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_each_known_failure_has_its_row():
    assert re.findall(r"^\| (F\d+) \|", PAGE.read_text(), re.MULTILINE) == KNOWN


def test_each_row_names_a_test():
    rows = re.findall(r"^\| F\d+ \|.*\| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == len(KNOWN)
    assert all(re.fullmatch(r"`test_\w+`(, `test_\w+`)*", row) for row in rows)


def test_what_is_named_is_there_once():
    there = names()
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert {name: there[name] for name in named} == dict.fromkeys(named, 1)
