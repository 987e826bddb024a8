"""The types that users see, as two strict checkers see them."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

API = Path(__file__).parent / "typing"
FILES = sorted(str(file) for file in API.glob("*.py") if file.stem != "limits" or find_spec("redis"))
SOURCE = Path(__file__).parents[1] / "src"


@pytest.mark.interpreted
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
        [sys.executable, "-m", *checker, *FILES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
