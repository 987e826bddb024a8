"""A newcomer follows "Start here" in a fresh clone, line by line, and gets what is shown."""

import re
import subprocess
from pathlib import Path

import pytest
from terminal import Terminal
from tests.test_docs import commands, is_run_elsewhere

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "start.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.long


def clone(folder):
    """What a clone of this state would have; nothing of this folder's environment is in it."""
    kept = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    there = b"\0".join(name for name in kept.split(b"\0") if name and (ROOT / name.decode()).exists())
    packed = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"],
        cwd=ROOT,
        input=there,
        capture_output=True,
        check=True,
    ).stdout
    folder.mkdir()
    subprocess.run(["tar", "--extract"], cwd=folder, input=packed, check=True)


def as_pattern(shown):
    """A shown result as a pattern: `…` is what differs, and on a line of its own any number of lines.

    Columns are as wide as what stands in them.
    """
    lines = [
        "(?:.*\n)*?"
        if line == "…"
        else re.sub(r"(\\ ){2,}", "  +", re.escape(line).replace("…", ".*?")) + "\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


@pytest.mark.timeout(900)
def test_a_newcomer_gets_each_shown_result(private_bookstore, tmp_path):
    clone(tmp_path / "clone")
    said = ""
    with Terminal(
        private_bookstore, tmp_path / "clone", VIRTUAL_ENV="", UV_PROJECT_ENVIRONMENT=".venv"
    ) as terminal:
        for kind, text in BLOCK.findall(PAGE.read_text()):
            if kind == "sh":
                said = ""
                for command in commands(text):
                    if is_run_elsewhere(command) and command.startswith("pip"):
                        continue
                    answer, code = terminal.types(command, patience=300.0)
                    assert code == 0, f"{command}\n{answer}"
                    said += f"{answer.rstrip()}\n" if answer.strip() else ""
            else:
                shown = terminal.here(text)
                assert as_pattern(shown).fullmatch(said), f"shown:\n{shown}\nsaid:\n{said}"
    assert private_bookstore.status()["state"] == "stopped"


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("a\nb 1 c\nd\n", True),
        ("b 22 c\nd\n", True),
        ("x\ny\nb  c\nd\n", True),
        ("b 1\nd\n", False),
        ("b 1 c\n", False),
        ("b 1 c\nd\ne\n", False),
    ],
)
def test_what_is_shown_is_held_to_every_line(said, fits):
    assert bool(as_pattern("…\nb …c\nd\n").fullmatch(said)) is fits
