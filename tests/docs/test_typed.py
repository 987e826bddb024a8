"""What pages have one type is typed, page by page, each in one shell, at a system that runs."""

import collections
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from docs.site import guide
from terminal import Terminal
from tests.conftest import Bookstore
from tests.test_docs import BLOCK, TYPED, commands, is_run_elsewhere

ROOT = Path(__file__).parent.parent.parent
START = ROOT / "docs" / "start.md"
GUIDES = ("000", "001", "002", "003", "004")
PAGES = sorted(
    path
    for path in TYPED
    if path != START
    and path.stem not in GUIDES
    and any(kind != "json" for kind, _ in BLOCK.findall(path.read_text()))
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def system(tmp_path_factory, store_guardian):
    """One for all pages, which may end it and start it otherwise."""
    made = Bookstore(tmp_path_factory.mktemp("typed") / "state", store_guardian)
    yield made
    made.run("down")


@pytest.fixture
def statuses(tmp_path):
    """What curl was answered, a line each time."""
    (tmp_path / "statuses").touch()
    return tmp_path / "statuses"


@pytest.fixture
def type_in(system, tmp_path, statuses):
    """A terminal at the root of the repository, with a curl that notes what it was answered."""
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nnoproxy = "*"\n')
    (tmp_path / "bin").mkdir()
    curl = tmp_path / "bin" / "curl"
    curl.write_text(
        f'#!/bin/bash\nhead=$(mktemp)\n{shutil.which("curl")} --dump-header $head "$@"\ncode=$?\n'
        f"awk '/^HTTP/ {{ status = $2 }} END {{ print status }}' $head >>{statuses}\nrm $head\nexit $code\n"
    )
    curl.chmod(0o755)
    path = f"{curl.parent}:{os.environ['PATH']}"
    with Terminal(system, ROOT, CURL_HOME=str(tmp_path), UV_NO_SYNC="1", PATH=path) as made:
        yield made.types


def typed(script):
    return [command for command in commands(script) if not is_run_elsewhere(command)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_page_can_be_typed_from_its_first_line_to_its_last(page, system, type_in):
    if system.status()["state"] != "running":
        system.up()
    for kind, script in BLOCK.findall(page.read_text()):
        for command in typed(script) if kind != "json" else ():
            said, code = type_in(command)
            assert code == 0, f"{command}\n{said}"


@pytest.mark.parametrize("number", GUIDES)
def test_a_guide_can_be_typed_and_is_answered_as_it_says(number, system, type_in, statuses):
    told = guide.load(ROOT, number)
    page = (ROOT / "docs" / "guides" / f"{number}.md").read_text()
    before, _, rest = page.partition("\n## The steps\n")
    if system.status()["state"] == "running" and "--replicas" in before:
        system.run("down")
    for _, script in BLOCK.findall(before):
        for command in commands(script):
            said, code = type_in(command)
            assert code == 0, f"{command}\n{said}"
    steps = dict(re.findall(r"^### ([^\n]+)\n\n```sh\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL))
    for step in told["steps"]:
        said, answered = "", []
        for command in commands(steps[step["title"]]):
            statuses.write_text("")
            said += type_in(command)[0]
            if not command.startswith("curl -X POST http://localhost:5013"):  # that is a deed, not a question
                answered += statuses.read_text().split()
        for check in step["see"]:
            assert is_seen(check, said, answered), f"{step['title']}: {json.dumps(check)}\n{answered}\n{said}"


def is_seen(check, said, answered):
    """Whether what a guide says of statuses, and of texts, is what came back."""
    if check.get("look") == "text" and "{" not in check["has"]:
        return check["has"] in said
    if check.get("look", "status") != "status":
        return True  # what else it says, `bookstore scenario run` looks at
    if counts := check.get("exactly"):
        return collections.Counter(answered) == counts
    places = {"first": slice(0, 1), "second": slice(1, 2), "last": slice(-1, None)}
    chosen = answered[places.get(check.get("which"), slice(None))]
    return bool(chosen) and set(chosen) == {str(check["equals"])}
