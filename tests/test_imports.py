"""Who may import whom: the contracts in pyproject.toml hold, can fail, and cover every member; nobody imports
what it doesn't declare, which one shared environment would let pass."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
MEMBERS = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def package(member):
    return member / "src" / "bookstore" / member.name


def lint_imports(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold():
    linted = lint_imports("--no-cache")
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("importer", "imported", "contract"),
    [
        ("apps/orders", "bookstore.books", "floors"),
        ("apps/gateway", "bookstore.orders.settings", "floors"),
        ("packages/service", "bookstore.books.app", "floors"),
        ("packages/contracts", "bookstore.service", "floors"),
        ("packages/resilience", "bookstore.contracts", "floors"),
        ("packages/stores", "bookstore.contracts", "floors"),
        ("apps/lab", "bookstore.service.settings", "lab"),
        ("packages/service", "bookstore.stores", "stores"),
    ],
)
def test_a_contract_breaks(importer, imported, contract, tmp_path):
    """A member whose `__init__` imports what it mustn't, in front of the real one on the path."""
    member = ROOT / importer
    twin = tmp_path / "bookstore" / member.name
    shutil.copytree(package(member), twin, ignore=shutil.ignore_patterns("__pycache__"))
    with (twin / "__init__.py").open("a") as file:
        file.write(f"\nimport {imported}\n")
    linted = lint_imports("--no-cache", "--contract", contract, PYTHONPATH=str(tmp_path))
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert f"bookstore.{member.name} is not allowed to import bookstore.{imported.split('.')[1]}" in " ".join(
        linted.stdout.split()
    )


def test_every_member_is_covered():
    names = {f"bookstore.{member.name}" for member in MEMBERS}
    assert set(LINTER["root_packages"]) == names
    floors = next(contract for contract in LINTER["contracts"] if contract["id"] == "floors")
    assert {name for floor in floors["layers"] for name in floor.split(" | ")} == names
    apps, service, _ = (set(floor.split(" | ")) for floor in floors["layers"])
    assert apps == {f"bookstore.{member.name}" for member in MEMBERS if member.parent.name == "apps"}
    assert service == {"bookstore.service"}


def imports(file):
    """Names of modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


installed = cache(packages_distributions)
"""It reads what every distribution here has."""


def owners(module):
    """Distributions that a top-level module comes with."""
    return {canonicalize_name(name) for name in installed().get(module, [module])}


def brought(lines):
    """Distributions that these requirements name, with what their extras add (`psycopg[pool]`)."""
    for line in lines:
        requirement = Requirement(line)
        yield canonicalize_name(requirement.name)
        if requirement.extras:
            for each in map(Requirement, requires(requirement.name) or ()):
                if each.marker and any(
                    each.marker.evaluate({"extra": extra}) for extra in requirement.extras
                ):
                    yield canonicalize_name(each.name)


def optional(project):
    return [line for lines in project.get("optional-dependencies", {}).values() for line in lines]


def lent(file):
    """Who runs a file brings its own package along: alembic a migration, pytest a plugin."""
    return {"migrations": {"alembic"}, "pytest_plugin.py": {"pytest"}}.get(
        "migrations" if "migrations" in file.parts else file.name, set()
    )


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_what_is_imported_is_declared(member):
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    declared = {*brought([*project["dependencies"], *optional(project)])}
    undeclared = []
    for file in sorted(package(member).rglob("*.py")):
        for name in imports(file):
            first, second = (*name.split("."), "")[:2]
            if first in sys.stdlib_module_names or name.startswith(f"bookstore.{member.name}"):
                continue
            possible = {f"bookstore-{second}"} if first == "bookstore" else owners(first)
            if not possible & (declared | lent(file)):
                undeclared.append(f"{file.relative_to(member)} imports {name}")
    assert not undeclared


def test_the_core_of_resilience_needs_only_python():
    """Every module is imported without site-packages; an extra's adapter says which distribution it lacks."""
    member = ROOT / "packages" / "resilience"
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []
    files = sorted(package(member).rglob("*.py"))
    modules = [".".join(file.relative_to(member / "src").with_suffix("").parts) for file in files]
    script = (
        "import importlib, sys\n"
        f"sys.path.insert(0, {str(member / 'src')!r})\n"
        f"for name in {modules!r}:\n"
        "    try:\n"
        "        importlib.import_module(name.removesuffix('.__init__'))\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(name, error.name.partition('.')[0])\n"
    )
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    lacking = dict(line.split() for line in bare.stdout.splitlines())
    extras = {*brought(optional(project))}
    assert {name: module for name, module in lacking.items() if not owners(module) & extras} == {}
