"""The desk of a real system runs experiments beside it, and stops them as Ctrl-C does."""

import json
import signal
from pathlib import Path

import httpx
import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.stores.process import ProcessId

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture
def desk(private_bookstore):
    private_bookstore.up("--proxied")
    status = private_bookstore.status()
    secret = json.loads(Path(status["credentials_file"]).read_text())["passwords"]["desk"]
    with httpx.Client(
        base_url=private_bookstore.url("desk-1"),
        headers={"Authorization": f"Bearer {secret}"},
        timeout=20,
        trust_env=False,
    ) as client:
        yield client


def test_an_experiment_is_run_told_and_stopped(desk, private_bookstore, eventually):
    begun = desk.post("/runs", json={"kind": "experiment", "name": "redis-frozen"}).json()

    def run():
        return desk.get(f"/runs/{begun['id']}").json()

    eventually(lambda: run()["phase"] == "observe")
    before = StateFolder(private_bookstore.state / "lab").lock.holder().family()
    assert desk.delete(f"/runs/{begun['id']}").status_code == 202
    ended = eventually(lambda: run() if run()["ended_at"] else None)
    assert ended["state"] == "interrupted"
    titles = [step["title"] for step in ended["steps"]]
    assert titles[:6] == ["start", "check", "baseline", "inject", "observe", "heal"]
    assert not any(member.alive for member in before)
    journal = next(private_bookstore.state.glob("runs/*/redis-frozen/journal.json"))
    written = json.loads(journal.read_text())
    assert (written["status"], written["extensions"][0]["restored"]) == ("interrupted", True)

    # To its end: what bites nothing is unknown, and has a report.
    begun = desk.post("/runs", json={"kind": "experiment", "name": "nothing-bites"}).json()
    ended = eventually(lambda: run() if run()["ended_at"] else None)
    assert ended["state"] == "unknown"
    assert ended["steps"][-1]["title"] == "end"
    assert "unknown" in {step["verdict"] for step in ended["steps"]}
    report, interrupted = desk.get("/reports").json()["data"]
    assert (report["id"], report["name"], report["verdict"]) == (ended["report"], "nothing-bites", "unknown")
    assert interrupted["verdict"] == "interrupted"
    page = desk.get(f"/reports/{ended['report']}")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "nothing-bites" in page.text

    # A desk that is killed takes its run with it.
    desk.post("/runs", json={"kind": "scenario", "name": "002"}).raise_for_status()
    eventually(lambda: desk.get("/runs?limit=1").json()["data"][0]["phase"] == "start")
    family = ProcessId.of(private_bookstore.services()["desk-1"]["pid"]).family()
    family[0].send(signal.SIGKILL)
    eventually(lambda: not any(member.alive for member in family))
    eventually(lambda: not StateFolder(private_bookstore.state / "lab").lock.holder())
    services = private_bookstore.services
    eventually(lambda: services()["desk-1"]["health"] == "healthy")
    assert eventually(lambda: desk.get("/runs?limit=1").json()["data"][0]["state"]) == "interrupted"
