"""What deploy/compile.py compiles: that it is there, and says nothing that a compiler understands otherwise.

That the compiled gateway works is told by `.ci/run compiled`, which takes minutes.
"""

import ast
import runpy
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "deploy/compile.py"))


def source(module):
    """The file of a module, in whichever member it is."""
    return next(
        (path for member in SCRIPT["MEMBERS"] if (path := ROOT / member / "src" / module).exists()), None
    )


MODULES = {module: source(module) for module in SCRIPT["modules"]()}


def names_of_errors(function):
    """By each name that errors are caught under, the types that it stands for."""
    found = defaultdict(set)
    for each in ast.walk(function):
        if isinstance(each, ast.ExceptHandler) and each.name and each.type:
            found[each.name].add(ast.unparse(each.type))
    return found


def of_two_types(text):
    """Names under which one function catches errors of several types: mypyc takes all for the first."""
    functions = (
        each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        (function.name, name)
        for function in functions
        for name, types in names_of_errors(function).items()
        if len(types) > 1
    ]


def test_each_module_is_there_once():
    assert len(MODULES) > 30
    assert [module for module, path in MODULES.items() if path is None] == []
    assert len(SCRIPT["modules"]()) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_name_stands_for_errors_of_two_types(module):
    assert of_two_types(MODULES[module].read_text()) == []


def test_one_that_does_is_found():
    text = "def f():\n try: g()\n except A as e: h(e)\n except B as e: h(e)\n"
    assert of_two_types(text) == [("f", "e")]


def test_what_is_there_is_not_written_over(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(SystemExit, match="is there already"):
        SCRIPT["compile_into"](tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_can_not_be_compiled_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(SCRIPT["compile_into"].__globals__, "HOW", ("--no-such-option",))
    with pytest.raises(SystemExit, match="couldn't be compiled"):
        SCRIPT["compile_into"](tmp_path / "compiled")
    assert list(tmp_path.iterdir()) == []
