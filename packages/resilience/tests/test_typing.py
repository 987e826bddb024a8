"""The types that users see, as two strict checkers see them."""

import subprocess
import sys
from pathlib import Path

import pytest

API = Path(__file__).parent / "typing"
SOURCE = Path(__file__).parents[1] / "src"


@pytest.mark.parametrize(
    "checker",
    [
        ["mypy", "--strict", "--warn-unused-ignores", "--no-incremental"],
        ["pyright", "--project", str(API / "pyrightconfig.json")],
    ],
    ids=lambda command: command[0],
)
def test_types(checker):
    pytest.importorskip(checker[0])
    found = subprocess.run(
        [sys.executable, "-m", *checker, *map(str, sorted(API.glob("*.py")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
