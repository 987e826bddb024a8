"""The whole system: started, killed in every place, and ended."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bookstore.lab.system.folder import StateFolder
from bookstore.stores.process import ProcessId

PROCESSES = [
    "postgres",
    "redis",
    "books-1",
    "orders-1",
    "accounts-1",
    "supplier-1",
    "orders-worker-1",
    "gateway-1",
    "monitor-1",
    "playground-1",
    "desk-1",
]
DOORS = {"supplier-control-1": "supplier-1", "gateway-admin-1": "gateway-1"}
"""Further ports, and whose they are."""


def family(bookstore):
    """Every process of a system: the supervisor, the guardian, the instances and their children."""
    return StateFolder(bookstore.state).lock.holder().family()


def healthy(bookstore):
    status = bookstore.status()
    return status["state"] == "running" and all(s["health"] == "healthy" for s in status["services"])


def test_status_tells_of_every_process(bookstore, eventually):
    status = bookstore.printed_status()
    assert set(status) == {"state", "state_folder", "credentials_file", "services"}
    assert {row["instance"] for row in status["services"]} == {*PROCESSES, *DOORS}
    rows = {row["instance"]: row for row in status["services"]}
    for door, owner in DOORS.items():
        assert rows[door]["pid"] == rows[owner]["pid"]
        assert rows[door]["url"] != rows[owner]["url"]
    eventually(lambda: healthy(bookstore))
    told = {pid for row in status["services"] for pid in row["pids"]}
    # All but the supervisor and its guardian.
    assert len(family(bookstore)) - 2 <= len(told)
    assert status["services"][0]["url"].startswith("postgresql://postgres:")


@pytest.mark.parametrize("instance", ["books-1", "orders-1", "accounts-1", "orders-worker-1"])
def test_who_has_a_database_finds_its_tables_at_a_first_start(bookstore, instance):
    log = StateFolder(bookstore.state).log(instance).read_text()
    before, ready, _ = log.partition("the schema is ready")
    assert ready
    assert "the database is not ready" not in before


@pytest.mark.parametrize("instance", PROCESSES)
def test_status_is_right_after_any_kill_and_the_victim_comes_back(bookstore, eventually, instance):
    before = bookstore.services()
    victim = ProcessId.of(before[instance]["pid"])
    victim.send(signal.SIGKILL)
    eventually(lambda: not victim.alive)
    after = next(row for row in bookstore.printed_status()["services"] if row["instance"] == instance)
    assert after["pid"] != victim.pid
    if after["pid"] is None:
        assert (after["health"], after["pids"]) == ("down", [])
    eventually(lambda: healthy(bookstore))
    for name, row in bookstore.services().items():
        assert (row["pid"] == before[name]["pid"]) == (before[name]["pid"] != victim.pid)


@pytest.mark.parametrize("instance", ["playground-1", "supplier-1"])
def test_up_brings_back_what_was_told_to_end_and_serves_still(bookstore, eventually, instance):
    victim = ProcessId.of(bookstore.services()[instance]["pid"])
    victim.send(signal.SIGTERM)
    bookstore.up()
    assert bookstore.services()[instance]["pid"] not in (None, victim.pid)
    eventually(lambda: healthy(bookstore))


def test_an_order_survives_the_kill_of_everything(bookstore, client, eventually):
    url = bookstore.url("gateway-1")
    new = {"title": "Survivors", "author": "A. Visitor", "price": "9.99", "stock": 5}
    book = client.post(f"{bookstore.url('books-1')}/v2/books", json=new).json()
    somebody = {"email": "survivor@example.com", "password": "a long enough secret"}
    client.post(f"{url}/auth/register", json={**somebody, "name": "Somebody"}).raise_for_status()
    token = client.post(f"{url}/auth/login", json=somebody).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    order = client.post(f"{url}/v1/orders", json={"book_id": book["id"], "quantity": 2})
    assert order.status_code == 201, order.text
    everything = family(bookstore)
    os.kill(everything[0].pid, signal.SIGKILL)
    eventually(lambda: not any(member.alive for member in everything))
    assert bookstore.status()["state"] == "stopped"
    bookstore.up()
    again = client.get(f"{bookstore.url('gateway-1')}/v1/orders/{order.json()['id']}")
    # The worker has gone on with it, perhaps.
    assert again.json() | {"status": ""} == order.json() | {"status": ""}


def test_the_whole_system_is_small(bookstore):
    memory = 0
    for member in family(bookstore):
        try:
            memory += psutil.Process(member.pid).memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    assert memory < 600 * 10**6


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv isn't here")
def test_a_killed_uv_takes_the_system_with_it(stopped_bookstore, eventually):
    project = Path(__file__).parents[1]
    with stopped_bookstore.begin(
        ["uv", "run", "--no-sync", "--project", project, *stopped_bookstore.command("up")],
        stdout=subprocess.DEVNULL,
    ) as uv:
        eventually(lambda: uv.poll() is not None or stopped_bookstore.status()["state"] == "running")
        assert uv.poll() is None
        everything = family(stopped_bookstore)
        parent = psutil.Process(everything[0].pid).parent()
        assert parent.name() == "uv"
        parent.kill()
        uv.wait()
        eventually(lambda: not any(member.alive for member in everything))
    assert stopped_bookstore.status()["state"] == "stopped"


def test_a_terminated_up_ends_in_order(stopped_bookstore):
    with stopped_bookstore.begin(stopped_bookstore.command("up"), stdout=subprocess.PIPE) as up:
        assert any("ready after" in line for line in up.stdout)
        everything = family(stopped_bookstore)
        up.terminate()
        assert up.wait() == 0
    assert not any(member.alive for member in everything)
    log = (stopped_bookstore.state / "logs" / "postgres.log").read_text()
    assert "database system is shut down" in log


def test_the_demo_holds_and_cleans_up(stopped_bookstore):
    result = stopped_bookstore.run("demo", "--yes")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Every step held" in result.stdout
    assert stopped_bookstore.status()["state"] == "stopped"


def test_the_demo_uses_a_system_that_runs_and_leaves_it_running(bookstore, eventually):
    result = bookstore.run("demo", "--yes")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "it runs already" in result.stdout
    eventually(lambda: healthy(bookstore))


def test_an_app_that_refuses_its_settings_is_shown(stopped_bookstore, monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "loud")
    result = stopped_bookstore.run("up", "--detach")
    assert result.returncode == 14
    assert "LOG_LEVEL" in result.stderr
    assert stopped_bookstore.status()["state"] == "stopped"


def test_the_command_is_installed():
    assert os.access(Path(sys.executable).with_name("bookstore"), os.X_OK)
