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


def test_a_process_that_dies_is_replaced_and_the_run_ends(tmp_path):
    """What it had done is not handed out again, which held the run up for ever; nor what it died of."""
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    for number in range(60):
        (tmp_path / f"test_{number:02}.py").write_text(QUICK + DIES if number == 40 else QUICK)
    # This run may be such a process too, and the other is no part of it.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "crashed while running 'test_40.py::test_dies'" in run.stdout, run.stdout + run.stderr
    assert "1 failed, 180 passed" in run.stdout
