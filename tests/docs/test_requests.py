"""Every request of the guides' files is sent to a system that runs, and answered as the file says."""

import json
from pathlib import Path

import httpx
import pytest
from http_file import run

FOLDER = Path(__file__).parent.parent.parent / "docs" / "requests"

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def environment(bookstore):
    told = json.loads((FOLDER / "http-client.env.json").read_text())["local"]
    status = bookstore.status()
    urls = {row["name"].replace("-", "_"): row["url"] for row in status["services"]}
    accounts = json.loads(Path(status["credentials_file"]).read_text())["accounts"]
    here = {name: urls[name] for name in told if name in urls}
    return told | here | {"staff_password": accounts[told["staff_email"]]}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.http")), ids=lambda path: path.stem)
def test_answers_are_as_the_file_says(file, environment):
    with httpx.Client(timeout=60, trust_env=False) as client:
        assert run(file.read_text(), environment, client) == []
