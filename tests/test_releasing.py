"""A release is made as docs/releasing.md says: its pieces here, all of it on a clone in the long run."""

import datetime as dt
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "releasing.md"
DAY = dt.date(2026, 12, 1)


def script(name):
    """A program of `.ci`, which are no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.append(str(ROOT / ".ci"))
changes, release = script("changes"), script("release")

HEAD = "# Changes of bookstore-orders\n"


class Member:
    """A member that is about to be released."""

    def __init__(self, root):
        self.root = root
        self.folder = root / "apps" / "orders"
        (self.folder / "changes").mkdir(parents=True)
        self.version("0.1.0")
        self.log = ""

    def version(self, number, urls="https://github.com/somebody/bookstore"):
        project = f'[project]\nname = "bookstore-orders"\nversion = "{number}"\n'
        (self.folder / "pyproject.toml").write_text(f'{project}\n[project.urls]\nSource = "{urls}"\n')

    @property
    def log(self):
        return (self.folder / "CHANGELOG.md").read_text().removeprefix(f"{HEAD}\n")

    @log.setter
    def log(self, text):
        (self.folder / "CHANGELOG.md").write_text(f"{HEAD}\n{text}")

    def change(self, name, text):
        (self.folder / "changes" / name).write_text(text)

    def left(self):
        return sorted(path.name for path in (self.folder / "changes").iterdir())


@pytest.fixture
def member(tmp_path):
    return Member(tmp_path)


def test_changes_become_a_section_what_breaks_first(member):
    member.log = "## 0.1.0\n\n2026-11-01\n\n- Everything.\n"
    member.version("0.2.0")
    member.change("basket.added.md", "A basket may hold\na hundred lines.\n")
    member.change("a.fixed.md", "No order is lost.\n")
    member.change("total.breaking.md", "The total is a string.\n")
    assert changes.fold(member.folder, DAY) == "0.2.0"
    assert member.log == (
        "## 0.2.0\n\n2026-12-01\n\n"
        "- Breaking: The total is a string.\n- A basket may hold\n  a hundred lines.\n- No order is lost.\n\n"
        "## 0.1.0\n\n2026-11-01\n\n- Everything.\n"
    )
    assert member.left() == []


def test_a_section_that_was_begun_is_the_next_releases(member):
    member.log = "## 0.1.0\n\nNot released yet.\n\n- Everything.\n"
    member.version("0.2.0")
    member.change("basket.added.md", "A basket.")
    changes.fold(member.folder, DAY)
    assert member.log == "## 0.2.0\n\n2026-12-01\n\n- Everything.\n- A basket.\n"


def test_the_first_section_of_all(member):
    member.change("basket.added.md", "A basket.")
    changes.fold(member.folder, DAY)
    assert member.log == "## 0.1.0\n\n2026-12-01\n\n- A basket.\n"


@pytest.mark.parametrize(
    ("released", "version", "name", "why"),
    [
        ("0.1.0", "0.1.1", "x.breaking.md", "asks for 0.2.0 or later, not 0.1.1"),
        ("1.4.0", "1.5.0", "x.breaking.md", "asks for 2.0.0 or later, not 1.5.0"),
        ("1.4.0", "1.4.1", "x.added.md", "asks for 1.5.0 or later, not 1.4.1"),
        ("1.4.0", "1.4.0", "x.fixed.md", "1.4.0 isn't above 1.4.0"),
        ("1.4.0", "1.3.9", "x.fixed.md", "1.3.9 isn't above 1.4.0"),
        ("1.4.0", "1.5.0rc1", "x.fixed.md", "1.5.0rc1 isn't three numbers"),
        ("1.4.0", "1.5.0", "x.improved.md", "is called like stock-by-mail.added.md"),
        ("1.4.0", "1.5.0", "X.added.md", "is called like stock-by-mail.added.md"),
        ("1.4.0", "1.5.0", "notes.txt", "is called like stock-by-mail.added.md"),
    ],
)
def test_what_a_version_cant_tell_is_refused_and_nothing_is_written(member, released, version, name, why):
    member.log = log = f"## {released}\n\n2026-11-01\n\n- Everything.\n"
    member.version(version)
    member.change(name, "Something.")
    with pytest.raises(changes.Refused, match=re.escape(why)):
        changes.fold(member.folder, DAY)
    assert (member.log, member.left()) == (log, [name])


def test_nothing_to_tell_and_nothing_told_are_refused(member):
    member.log = "## 0.0.9\n\n2026-11-01\n\n- Everything.\n"
    with pytest.raises(changes.Refused, match="nothing to tell"):
        changes.fold(member.folder, DAY)
    member.change("x.fixed.md", " \n")
    with pytest.raises(changes.Refused, match="says nothing"):
        changes.fold(member.folder, DAY)


def test_every_members_changes_are_named_as_they_have_to_be():
    for manifest in ROOT.glob("*/*/pyproject.toml"):
        changes.fragments(manifest.parent)


def test_a_tag_that_tells_the_truth(member):
    member.log = "## 0.1.0\n\n2026-12-01\n\n- Everything.\n"
    assert release.problems(member.root, "orders-v0.1.0") == []


@pytest.mark.parametrize(
    ("tag", "mistake", "why"),
    [
        ("v0.1.0", None, "isn't a member and a version"),
        ("orders-0.1.0", None, "isn't a member and a version"),
        ("books-v0.1.0", None, "no member is called books"),
        ("orders-v0.2.0", None, "the version of orders is 0.1.0"),
        (
            "orders-v0.1.0",
            lambda it: setattr(it, "log", "## 0.1.0\n\nNot released yet.\n"),
            "no dated section",
        ),
        ("orders-v0.1.0", lambda it: setattr(it, "log", ""), "no dated section 0.1.0"),
        ("orders-v0.1.0", lambda it: it.change("x.added.md", "More."), "x.added.md wouldn't be told of"),
        ("orders-v0.1.0", lambda it: it.version("0.1.0", "https://bookstore.example"), "addresses lead to"),
    ],
)
def test_a_tag_that_doesnt_is_refused(member, tag, mistake, why):
    member.log = "## 0.1.0\n\n2026-12-01\n\n- Everything.\n"
    if mistake:
        mistake(member)
    assert [each for each in release.problems(member.root, tag) if why in each]


OURS = ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_NO_SYNC", "UV_FROZEN", "PYTEST_ADDOPTS")


class Clone:
    """The whole workspace as it is here, committed or not, in a repository of its own."""

    def __init__(self, root):
        self.root = root
        root.mkdir()
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for path in subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\0"):
            if path and (ROOT / path).is_file():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, root / path)
        # Where its environment is, and whether that may be changed, is this run's own business.
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        who = {
            f"GIT_{role}_{what}": "t@example.com"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        self.environment = {**kept, **who, "GIT_CONFIG_GLOBAL": os.devnull}
        self.types(
            "git init --quiet --initial-branch main && git add --all && git commit --quiet --message here"
        )

    def types(self, command):
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def project(self, member):
        return tomllib.loads((self.root / member / "pyproject.toml").read_text())["project"]


BLOCKS = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
SENDS = "git push "


def test_one_command_only_sends_something_away():
    assert [block for block in BLOCKS if SENDS in block] == ["git push origin main orders-v0.2.0\n"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_release_is_made_as_the_guide_says(tmp_path):
    clone = Clone(tmp_path / "clone")
    for member, text in (("apps/orders", "Baskets."), ("packages/contracts", "A shape.")):
        (clone.root / member / "changes").mkdir(exist_ok=True)
        (clone.root / member / "changes" / "it.added.md").write_text(text)
    for block in BLOCKS:
        if SENDS not in block:
            clone.types(block)

    assert clone.project("apps/orders")["version"] == "0.2.0"
    log = (clone.root / "apps/orders/CHANGELOG.md").read_text()
    assert re.search(r"^## 0\.2\.0\n\n\d{4}-\d{2}-\d{2}\n", log, re.MULTILINE)
    assert "- Baskets.\n" in log
    assert '"version": "0.2.0"' in (clone.root / "apps/orders/openapi.json").read_text()

    [wheel] = (clone.root / "dist").glob("bookstore_orders-0.2.0-*.whl")
    [source] = (clone.root / "dist").glob("bookstore_orders-0.2.0.tar.gz")
    assert clone.types("git tag").split() == ["orders-v0.2.0"]
    with tarfile.open(source) as packed:
        assert "bookstore_orders-0.2.0/LICENSE" in packed.getnames()
    assert wheel.is_file()

    # The second member's step left the bounds of those who depend on it, and theirs follow.
    assert clone.project("packages/contracts")["version"] == "0.2.0"
    assert "bookstore-contracts>=0.2,<0.3" in clone.project("apps/orders")["dependencies"]
    clone.types("uv lock --check")
