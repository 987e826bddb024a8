"""Starting, dying, starting again and ending, with stand-ins for the apps."""

import json
import signal
import subprocess
import sys
import urllib.request

import psycopg
import pytest

from bookstore.lab.failures import Exit
from bookstore.lab.system.record import Record, Row
from bookstore.stores.ports import any_free


def test_up_starts_everything_and_down_ends_it(system):
    system.add("books")
    system.add("orders", replicas=2)
    out = system.up()
    assert "ready after" in out
    status = system.status()
    assert set(status) == {"state", "state_folder", "credentials_file", "services"}
    assert status["state"] == "running"
    assert status["state_folder"] == str(system.folder.path)
    assert [s["instance"] for s in status["services"]] == ["books-1", "orders-1", "orders-2"]
    for service in status["services"]:
        assert set(service) == {"name", "instance", "kind", "url", "port", "pid", "pids", "health"}
        assert service["health"] == "healthy"
        assert service["pids"] == [service["pid"]]
        assert service["url"] == f"http://127.0.0.1:{service['port']}"
    family = system.family()
    result = system.run("down")
    assert result.returncode == 0
    assert not any(member.alive for member in family)
    assert system.run("status").returncode == Exit.NOT_RUNNING
    assert system.status()["services"] == []


def test_it_runs_on_when_nobody_reads_what_it_says(system, eventually):
    """As with `bookstore up | head -1`."""
    system.add("books")
    process = system.begin("up")
    process.stdout.readline()
    process.stdout.close()
    eventually(lambda: process.poll() is not None or (system.rows and system.status()["state"] == "running"))
    assert "is healthy" in system.folder.log("supervisor").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_what_dies_is_seen_at_once_and_started_again(system, eventually):
    system.add("books")
    system.add("orders")
    system.up()
    before = system.rows["books-1"].process
    before.send(signal.SIGKILL)
    eventually(lambda: not before.alive)
    books, orders = system.status()["services"]
    assert (books["health"], books["pid"], books["pids"]) == ("down", None, []) or books["pid"] != before.pid
    assert orders["health"] == "healthy"
    eventually(lambda: system.rows["books-1"].ready)
    assert system.rows["books-1"].restarts == 1
    assert system.status()["services"][0]["health"] == "healthy"
    assert "restarted 1x" in system.run("status").stdout


def test_what_is_frozen_is_left_alone(system):
    system.add("books")
    system.up()
    process = system.rows["books-1"].process
    process.send(signal.SIGSTOP)
    (books,) = system.status()["services"]
    assert (books["health"], books["pid"]) == ("unhealthy", process.pid)
    process.send(signal.SIGCONT)
    assert system.status()["services"][0]["health"] == "healthy"
    assert system.rows["books-1"].restarts == 0


def add_with_door(system):
    door = {"name": "books-admin", "setting": "ADMIN_PORT", "port": any_free(), "offset": 7}
    system.add("books", replicas=2, doors=[door])


def test_a_further_port_has_a_row_of_its_own(system, eventually):
    add_with_door(system)
    out = system.up()
    rows = {row["instance"]: row for row in system.status()["services"]}
    assert list(rows) == ["books-1", "books-admin-1", "books-2", "books-admin-2"]
    assert len({row["port"] for row in rows.values()}) == 4
    for number in (1, 2):
        main, door = rows[f"books-{number}"], rows[f"books-admin-{number}"]
        assert (door["name"], door["health"], door["kind"]) == ("books-admin", "healthy", "app")
        assert (door["pid"], door["pids"]) == (main["pid"], main["pids"])
        assert door["url"] == f"http://127.0.0.1:{door['port']}"
        assert system.environment_of(f"books-{number}")["ADMIN_PORT"] == str(door["port"])
    assert out.count(" MB") == 3  # two processes and their sum
    victim = system.rows["books-1"].process
    victim.send(signal.SIGKILL)
    eventually(lambda: system.rows["books-admin-1"].ready and system.rows["books-admin-1"].process != victim)
    assert system.rows["books-admin-1"].process == system.rows["books-1"].process


def test_what_refuses_connections_is_down_and_left_alone(system, eventually):
    add_with_door(system)
    system.up()
    before = system.rows["books-1"]
    with pytest.raises(OSError, match=r"."):
        urllib.request.urlopen(f"{before.url}/shut", timeout=0.5)  # noqa: S310 - our own
    eventually(lambda: system.status()["services"][0]["health"] == "down")
    books, admin, *_ = system.status()["services"]
    assert (books["pid"], admin["pid"], admin["health"]) == (before.pid, before.pid, "healthy")
    assert system.rows["books-1"].restarts == 0
    assert system.run("down").returncode == 0


def test_a_frozen_one_can_still_be_ended(system):
    system.add("books")
    system.up()
    process = system.rows["books-1"].process
    process.send(signal.SIGSTOP)
    assert system.run("down").returncode == 0
    assert not process.alive


def test_an_app_that_an_operator_ended_in_order_stays_ended(system, eventually):
    system.add("books")
    system.add("orders")
    system.up()
    system.rows["books-1"].process.send(signal.SIGTERM)
    eventually(lambda: "good order" in system.rows["books-1"].note)
    assert system.status()["services"][0]["health"] == "down"
    assert "it runs already" in system.run("up", "--detach").stdout
    assert system.status()["services"][0]["health"] == "healthy"


def test_a_killed_supervisor_leaves_nothing_behind(system, eventually):
    system.add("books")
    system.up()
    family = system.family()
    assert len(family) == 3  # with the guardian
    system.supervisor.send(signal.SIGKILL)
    eventually(lambda: not any(member.alive for member in family))
    assert system.status()["state"] == "stopped"
    assert system.status()["services"][0]["health"] == "down"
    system.up()
    assert system.status()["state"] == "running"


def test_a_killed_guardian_is_replaced(system, eventually):
    system.add("books")
    system.up()
    books, supervisor = system.rows["books-1"].process, system.supervisor
    guardian = next(p for p in system.family() if p not in (books, supervisor))
    guardian.send(signal.SIGKILL)
    eventually(lambda: len([p for p in system.family() if p != guardian]) == 3)
    books.send(signal.SIGSTOP)
    supervisor.send(signal.SIGKILL)
    eventually(lambda: not books.alive)


def test_leftovers_are_swept_by_pid_and_start(system, orphan):
    system.folder.open()
    mine = Row(name="books", instance="books-1", kind="app", url="http://127.0.0.1:1", port=1, pid=orphan.pid)
    record = Record(phase="running", since=0, rows=[mine])
    mine.started = "another start"
    record.write(system.folder.record)
    assert "nothing runs" in system.run("down").stdout
    assert orphan.alive
    mine.started = orphan.started
    record.write(system.folder.record)
    assert "left over" in system.run("doctor").stdout
    assert "left over" in system.run("down").stdout
    assert not orphan.alive


def test_a_second_up_finds_the_first(system):
    system.add("books")
    system.up()
    holder = system.supervisor
    result = system.run("up", "--detach")
    assert result.returncode == 0
    assert "it runs already" in result.stdout
    assert system.supervisor == holder


def test_an_app_that_exits_at_once_is_shown_with_its_last_words(system):
    system.add("books")
    system.add("orders", "refuses")
    result = system.run("up", "--detach")
    assert result.returncode == Exit.SERVICE
    assert "orders-1 exited with code 2" in result.stderr
    assert "PRICE: unknown setting" in result.stderr
    assert system.supervisor is None
    assert not system.folder.record.exists()


def test_a_start_that_fails_shows_what_this_one_wrote(system):
    """And those who still wait for their tables then are no fault of the supervisor's."""
    system.add_store("postgres")
    system.databases = {"books_db": "books_user"}
    system.add("books", settings={"DATABASE_URL": "{books_db}"})
    system.add("supplier", "refuses")
    for _ in range(2):
        result = system.run("up", "--detach")
        assert (result.returncode, result.stderr.count("PRICE: unknown setting")) == (Exit.SERVICE, 1)
    for line in system.folder.log("supervisor").read_text().splitlines():
        json.loads(line)


def test_a_start_that_was_ended_says_so(system, eventually):
    system.add("books", "unhealthy")
    process = system.begin("up", "--detach")
    eventually(lambda: "books-1" in system.rows)
    assert system.run("down").returncode == 0
    assert "told to end while it was starting" in process.communicate()[0]
    assert process.returncode == Exit.FAILED


def test_the_first_signal_waits_and_the_second_hurries(system, eventually):
    system.add("books", "deaf")
    process = system.begin("up")
    eventually(lambda: (rows := system.rows) and rows["books-1"].ready)
    books = system.rows["books-1"].process
    process.send_signal(signal.SIGINT)
    log = system.folder.log("supervisor")
    eventually(lambda: log.exists() and "stopping" in log.read_text())
    assert books.alive
    # What comes within a third of a second counts as the same keystroke, hence more than one.
    eventually(lambda: not books.alive or process.send_signal(signal.SIGINT))
    assert process.communicate()[0].endswith("everything has ended\n")
    assert process.returncode == 0
    assert not books.alive


def test_a_second_system_steps_over_the_firsts_ports(system, tmp_path):
    system.add("books")
    system.up()
    other = type(system)(tmp_path / "other", system.guardian)
    other.services = system.services
    out = other.up()
    try:
        assert f"{system.services[0]['port']} was taken" in out
        assert other.status()["services"][0]["port"] > system.status()["services"][0]["port"]
    finally:
        other.run("down")


def test_an_app_gets_its_settings_and_no_surprises(system):
    system.add("books", settings={"MODE": "", "ORDERS_URL": "{orders}"})
    system.add("orders")
    system.environment = {"OTEL_TRACES_SAMPLER": "always_on", "ACCESS_LOG": "false", "SECRET_OF_MINE": "x"}
    system.up()
    env = system.environment_of("books-1")
    assert env["ORDERS_URL"] == system.rows["orders-1"].url
    assert (env["HOST"], env["PORT"], env["INSTANCE"]) == (
        "127.0.0.1",
        str(system.rows["books-1"].port),
        "books-1",
    )
    assert (env["OTEL_TRACES_SAMPLER"], env["ACCESS_LOG"], env["LOG_LEVEL"]) == ("always_on", "false", "info")
    assert "SECRET_OF_MINE" not in env
    assert "BOOKSTORE_STATE" not in env


def test_a_bound_system_ends_with_its_owner(system, tmp_path, eventually, driver):
    system.add("books")
    script = tmp_path / "owner.py"
    script.write_text(
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from driver import topology\n"
        "from bookstore.lab.system.folder import StateFolder\n"
        "from bookstore.lab.system.lifecycle import Start, up_apart\n"
        "from pathlib import Path\n"
        "start = Start(folder=StateFolder(Path(sys.argv[2])), topology=topology(os.environ['STANDINS']))\n"
        "up_apart(start, print, bound=True); print('up', flush=True); signal.pause()\n"
    )
    here = str(driver.parent)
    with subprocess.Popen(
        [sys.executable, script, here, system.folder.path],
        env=system.environ(),
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        while owner.stdout.readline() != "up\n":
            pass
        family = system.family()
        owner.kill()
        eventually(lambda: not any(member.alive for member in family))


def test_real_stores_are_restarted_with_their_data(system, eventually):
    system.add_store("postgres")
    system.add_store("redis")
    system.add("books", settings={"MODE": "", "DATABASE_URL": "{books_db}"})
    system.databases = {"books_db": "books_user"}
    system.up()
    url = system.environment_of("books-1")["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    before = system.rows["postgres"].process
    assert len(before.family()) > 3
    assert len(system.status()["services"][0]["pids"]) > 3
    before.send(signal.SIGKILL)
    eventually(lambda: system.rows["postgres"].restarts == 1 and system.rows["postgres"].ready)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchone() == (1,)
    family = system.family()
    system.supervisor.send(signal.SIGKILL)
    eventually(lambda: not any(member.alive for member in family))
    assert system.folder.credentials.stat().st_mode & 0o777 == 0o600
    assert system.folder.path.stat().st_mode & 0o777 == 0o700
    assert system.run("reset", "--yes").returncode == 0
    assert not system.folder.credentials.exists()
    assert not (system.folder.path / "postgres").exists()
