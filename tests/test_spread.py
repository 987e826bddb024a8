"""A run of tests that is spread over processes ends, though one of these dies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = """
[tool.pytest]
testpaths = ["."]
markers = ["quiet: as in the workspace"]
asyncio_default_fixture_loop_scope = "function"
"""
QUICK = "".join(f"def test_{name}(): pass\n" for name in ("first", "second", "third"))
DIES = "import os\n\ndef test_dies(): os._exit(1)\n"
TIMED = """
import pathlib, time, pytest

def lasts(kind):
    began = time.monotonic()
    time.sleep(0.05)
    with (pathlib.Path(__file__).parent / "told").open("a") as told:
        told.write(f"{kind} {began} {time.monotonic()}\\n")

def test_any(): lasts("any")

@pytest.mark.quiet
def test_quiet(): lasts("quiet")
"""


def run_of(folder):
    """A run of the tests in this folder, which are no part of the run that may be under way here."""
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "pyproject.toml").write_text(SETTINGS)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=folder,
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_quiet_test_has_none_beside_it_but_one_of_its_kind(tmp_path):
    for number in range(12):
        (tmp_path / f"test_{number:02}.py").write_text(TIMED)
    run = run_of(tmp_path)
    assert "24 passed" in run.stdout, run.stdout + run.stderr
    lines = [line.split() for line in (tmp_path / "told").read_text().splitlines()]
    times = [(kind, float(began), float(ended)) for kind, began, ended in lines]
    for _, began, _ in times:
        beside = [kind for kind, start, end in times if start <= began < end]
        assert len({*beside}) == 1, beside
        assert beside.count("quiet") <= 2, beside


def test_a_process_that_dies_is_replaced_and_the_run_ends(tmp_path):
    """What it had done is not handed out again, which held the run up for ever; nor what it died of."""
    for number in range(60):
        (tmp_path / f"test_{number:02}.py").write_text(QUICK + DIES if number == 40 else QUICK)
    run = run_of(tmp_path)
    assert "crashed while running 'test_40.py::test_dies'" in run.stdout, run.stdout + run.stderr
    assert "1 failed, 180 passed" in run.stdout
