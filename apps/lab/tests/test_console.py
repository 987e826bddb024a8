"""The link to the console: printed when all is up, made afresh on request, written down nowhere."""

import json
import sys

import pytest

from bookstore.lab.failures import Exit

OPS = "ops@bookstore.local"


@pytest.fixture
def manned(system):
    """A system with accounts and a monitor."""
    system.add("accounts")
    system.add("monitor")
    system.members = {OPS: "ops"}
    return system


def test_up_prints_it_and_nobody_writes_it_down(manned):
    out = manned.up()
    page = manned.rows["monitor-1"].url + "/console/"
    assert f"console: {page}#ticket=t1cket\n" in out
    fresh = manned.run("console", "--json")
    assert json.loads(fresh.stdout) == {"url": f"{page}#ticket=t1cket", "expires_at": "2026-01-01T10:10:00Z"}
    assert manned.run("console").stdout == f"{page}#ticket=t1cket\n"
    for path in manned.folder.path.rglob("*"):
        assert not path.is_file() or b"t1cket" not in path.read_bytes(), path


def test_it_is_opened_in_a_browser(manned, tmp_path):
    manned.up()
    seen = tmp_path / "seen"
    browser = tmp_path / "browser.py"
    browser.write_text(f"import sys; open({str(seen)!r}, 'w').write(sys.argv[1])")
    manned.environment["BROWSER"] = f"{sys.executable} {browser} %s"
    assert manned.run("console", "--open").returncode == 0
    assert seen.read_text().endswith("/console/#ticket=t1cket")


def test_a_system_is_ready_without_it(manned):
    manned.services[0]["settings"]["MODE"] = "denies"
    manned.members = {}
    out = manned.up()
    assert "ready after" in out
    assert f"There is no link to the console: the first password of {OPS} isn't taken any more" in out
    refused = manned.run("console")
    assert (refused.returncode, refused.stdout) == (Exit.FAILED, "")
    assert "Sign in at http://127.0.0.1" in refused.stderr


def test_where_nothing_runs_there_is_no_link(system):
    assert system.run("console").returncode == Exit.NOT_RUNNING
    system.add("books")
    assert "console" not in system.up()
    assert system.run("console").returncode == Exit.NOT_RUNNING
