"""Bruno's own command sends what its collection says, and is content with every answer."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "docs" / "requests" / "bruno"
GUIDES = sorted(path.parent.name for path in FOLDER.glob("*/folder.bru"))

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not shutil.which("bru"), reason="bru isn't here: `npm install @usebruno/cli`"),
]


@pytest.fixture(scope="module")
def told(plain_bookstore):
    """Where the parts of a system are that nobody has spoken to yet: guides count calls and open circuits."""
    status = plain_bookstore.status()
    staff = json.loads(Path(status["credentials_file"]).read_text())["accounts"]["staff@bookstore.local"]
    known = {row["name"].replace("-", "_"): row["url"] for row in status["services"] if row["kind"] == "app"}
    return [f"--env-var={name}={value}" for name, value in {**known, "staff_password": staff}.items()]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_request_is_answered_as_the_collection_says(guide, told, tmp_path):
    report = tmp_path / "report.json"
    words = ["bru", "run", guide, "--env", "local", "--reporter-json", report, *told]
    result = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    [run] = json.loads(report.read_text())
    sent = {Path(each["test"]["filename"]).name for each in run["results"]}
    assert sent == {path.name for path in (FOLDER / guide).glob("[0-9]*.bru")}
