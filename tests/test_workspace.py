"""The workspace keeps its shape: what every member has, which versions fit, how long a file may be."""

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MEMBERS = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))
MANIFESTS = {member: tomllib.loads((member / "pyproject.toml").read_text()) for member in MEMBERS}
VERSIONS = {manifest["project"]["name"]: manifest["project"]["version"] for manifest in MANIFESTS.values()}
SERVICES = [
    member
    for member, manifest in MANIFESTS.items()
    if member.parent.name == "apps" and "bookstore-service" in str(manifest["project"]["dependencies"])
]

every_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
every_service = pytest.mark.parametrize("member", SERVICES, ids=lambda member: member.name)

LONG = 400
WRITTEN = re.compile(
    r"uv\.lock|docs/operations/alerts\.md|apps/\w+/openapi\.json|packages/contracts/schemas/\w+\.json"
)
"""Files that a program writes: as long as they have to be."""
ADDRESSES = {
    "Documentation": "{base}/blob/main/{member}/README.md",
    "Source": "{base}/tree/main/{member}",
    "Changelog": "{base}/blob/main/{member}/CHANGELOG.md",
    "Issues": "{base}/issues",
}


def tracked():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def package(member):
    return member / "src" / "bookstore" / member.name


def test_the_root_depends_on_every_member():
    assert sorted(PROJECT["project"]["dependencies"]) == sorted(VERSIONS)
    assert PROJECT["tool"]["uv"]["sources"] == {name: {"workspace": True} for name in VERSIONS}


@every_member
def test_what_every_member_has(member):
    assert (member / "README.md").read_text().startswith(f"# bookstore-{member.name}\n")
    version = MANIFESTS[member]["project"]["version"]
    changes = (member / "CHANGELOG.md").read_text()
    assert changes.startswith(f"# Changes of bookstore-{member.name}\n\n## {version}\n\n")
    assert list(member.glob("tests/test_*.py"))
    assert (member / "tests" / "smoke.py").is_file(), "what its wheel must do by itself"
    assert (package(member) / "py.typed").is_file()
    assert (package(member) / "__init__.py").is_file()
    assert not (member / "src" / "bookstore" / "__init__.py").exists(), "bookstore is a namespace"


@every_member
def test_how_every_member_is_built(member):
    project, build = MANIFESTS[member]["project"], MANIFESTS[member]["build-system"]
    assert project["name"] == f"bookstore-{member.name}"
    assert "dynamic" not in project
    assert project["requires-python"] == PROJECT["project"]["requires-python"]
    assert build["build-backend"] == "uv_build"
    assert MANIFESTS[member]["tool"]["uv"]["build-backend"]["module-name"] == f"bookstore.{member.name}"
    groups = {str(manifest["build-system"]) for manifest in MANIFESTS.values()}
    assert groups == {str(build)}


@every_member
def test_what_is_told_of_every_member(member):
    """On the package index: the licence, and where everything is found, in the same place for all."""
    project = MANIFESTS[member]["project"]
    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    assert (member / "LICENSE").read_bytes() == (MEMBERS[0] / "LICENSE").read_bytes()
    base = project["urls"]["Issues"].removesuffix("/issues")
    assert base == MANIFESTS[MEMBERS[0]]["project"]["urls"]["Issues"].removesuffix("/issues")
    where = member.relative_to(ROOT)
    assert project["urls"] == {kind: form.format(base=base, member=where) for kind, form in ADDRESSES.items()}


def written(member):
    """All requirements of a member: its own, its extras', its groups'."""
    manifest = MANIFESTS[member]
    yield from manifest["project"]["dependencies"]
    for lines in manifest["project"].get("optional-dependencies", {}).values():
        yield from lines
    for lines in manifest.get("dependency-groups", {}).values():
        yield from (line for line in lines if isinstance(line, str))


@every_member
def test_bounds_admit_the_workspace(member):
    """A published wheel carries them as they are written; a bare name would take any version."""
    for requirement in map(Requirement, written(member)):
        operators = {each.operator for each in requirement.specifier}
        if requirement.name == MANIFESTS[member]["project"]["name"]:
            continue  # its own extras
        if requirement.name in VERSIONS:
            assert operators == {">=", "<"}, str(requirement)
            assert requirement.specifier.contains(VERSIONS[requirement.name]), str(requirement)
        else:
            assert operators & {">=", "==", "~="}, f"{requirement} has no lower bound"


@every_service
def test_every_service_has_the_same_rooms(member):
    names = {path.name for path in package(member).iterdir()}
    assert {"__init__.py", "__main__.py", "app.py", "settings.py", "py.typed"} <= names
    scripts = dict(MANIFESTS[member]["project"]["scripts"])
    assert scripts.pop(member.name) == f"bookstore.{member.name}.__main__:main"
    for name, entry in scripts.items():  # its further processes
        assert name.startswith(f"{member.name}-")
        assert re.fullmatch(rf"bookstore\.{member.name}\.\w+\.__main__:main", entry)


@every_service
def test_handlers_stand_in_api_and_sql_in_store(member):
    verbs = {"get", "post", "put", "patch", "delete", "route"}
    for file in package(member).rglob("*.py"):
        if "migrations" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ImportFrom):
                continue
            names = {alias.name for alias in node.names}
            if node.module == "litestar" and names & verbs:
                assert file.name == "api.py", f"{file.relative_to(ROOT)} handles requests"
            if (node.module or "").partition(".")[0] == "psycopg":
                assert file.name == "store.py", f"{file.relative_to(ROOT)} speaks SQL"


def test_no_file_is_long_without_a_reason():
    texts = {path: text for path in tracked() if b"\0" not in (text := (ROOT / path).read_bytes())}
    long = [path for path, text in texts.items() if len(text.splitlines()) > LONG]
    assert [path for path in long if not WRITTEN.fullmatch(path)] == []


def test_the_lock_belongs_to_the_manifests():
    locked = subprocess.run(
        [os.environ.get("UV", "uv"), "lock", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert locked.returncode == 0, locked.stderr
