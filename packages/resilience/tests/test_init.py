import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bookstore.resilience


def test_every_name_is_where_the_type_checkers_think():
    tree = ast.parse(Path(bookstore.resilience.__file__).read_text())
    seen = {
        alias.name: node.module.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("bookstore.")
        for alias in node.names
    }
    assert seen == bookstore.resilience._HOME_OF
    assert sorted(seen) == sorted(bookstore.resilience.__all__) == dir(bookstore.resilience)


@pytest.mark.parametrize("name", bookstore.resilience.__all__)
def test_every_name_is_there_and_is_no_module(name):
    assert not isinstance(getattr(bookstore.resilience, name), type(ast))


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="nothing"):
        bookstore.resilience.nothing  # noqa: B018 - the look-up is the point


def test_importing_loads_next_to_nothing():
    code = "import sys, bookstore.resilience; print([m for m in sys.modules if 'resilience.' in m])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.interpreted
def test_the_core_needs_the_standard_library_alone():
    code = (
        "import sys; before = set(sys.modules); from bookstore.resilience import *; "
        "print({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    source = Path(bookstore.resilience.__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(source)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "{'bookstore'}"
