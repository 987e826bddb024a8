"""A run of tests that is killed, or runs out of time, leaves nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.record import Record
from bookstore.stores.ports import any_free
from bookstore.stores.process import ProcessId

HERE = Path(__file__).parent
DRIVER = HERE.parent / "apps" / "lab" / "tests" / "driver.py"
RUN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Bookstore
from bookstore.stores.guardian import Guardian

class Quick(Bookstore):
    def command(self, *words):
        return [sys.executable, sys.argv[2], *words]

made = Quick(sys.argv[3], Guardian())
made.up()
print("up", flush=True)
signal.pause()
"""
"""A run of tests, with stand-ins for the services."""


@pytest.mark.parametrize("mode", ["", "unhealthy"])
def test_a_killed_run_leaves_nothing(mode, tmp_path, eventually):
    """Killed when all is up, and while `up` is still waiting for somebody who never gets well."""
    standin = {"name": "books", "port": any_free(), "settings": {"MODE": mode}}
    state = StateFolder(tmp_path / "state")
    with subprocess.Popen(
        [sys.executable, "-c", RUN, HERE, DRIVER, state.path],
        env=os.environ | {"STANDINS": json.dumps({"services": [standin]})},
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        if mode:
            eventually(lambda: "books" in [row.name for row in _rows(state) if row.pid])
        else:
            assert run.stdout.readline() == "up\n"
        everything = {*ProcessId.of(run.pid).family(), *state.lock.holder().family()}
        assert len(everything) > 4
        run.kill()
    eventually(lambda: not any(each.alive for each in everything))
    assert [p for p in psutil.process_iter(["cmdline"]) if str(state.path) in str(p.info["cmdline"])] == []


def _rows(state):
    record = Record.read(state.record)
    return record.rows if record else []
