"""What can be wrong before anything runs: each with its exit code, its cause and what to do."""

import os
import pwd
import socket

import psycopg
import pytest

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.plan import make_plan
from bookstore.lab.system.ports import Claims, choose_ports
from bookstore.lab.system.topology import SYSTEM, Door, Service, Topology
from bookstore.stores.ports import any_free


@pytest.fixture
def folder(tmp_path):
    made = StateFolder(tmp_path / "state")
    made.open()
    return made


def test_a_folder_that_cant_be_made(system, tmp_path):
    (tmp_path / "file").touch()
    system.folder = StateFolder(tmp_path / "file" / "state")
    result = system.run("up", "--detach")
    assert result.returncode == Exit.FOLDER
    assert "can't be used: Not a directory" in result.stderr
    assert "--state" in result.stderr


@pytest.fixture
def closed(tmp_path):
    """A folder that nobody may write in, not even whoever runs the tests: root is somebody else meanwhile."""
    folder, before = tmp_path / "closed", os.geteuid()
    folder.mkdir(mode=0o500)
    if before == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield folder
    os.seteuid(before)


def test_a_folder_that_isnt_writable(closed):
    with pytest.raises(LabError, match="can't be used: Permission denied") as caught:
        StateFolder(closed / "state").open()
    assert caught.value.code == Exit.FOLDER


def test_a_folder_with_other_things_in_it_stays_as_it_is(tmp_path):
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(LabError, match="other things") as caught:
        StateFolder(tmp_path).open()
    assert caught.value.code == Exit.FOLDER
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_reset_asks_and_removes_only_what_is_ours(system):
    system.add("books")
    system.up()
    system.run("down")
    (system.folder.path / "notes.txt").touch()
    result = system.run("reset", stdin=-3)
    assert result.returncode == Exit.USAGE
    assert "--yes" in result.stderr
    assert system.run("reset", "--yes").returncode == 0
    assert {p.name for p in system.folder.path.iterdir()} == {"supervisor", "notes.txt"}


def test_a_demanded_port_that_is_taken(system):
    system.add("books")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = system.run("up", "--detach", "--port-base", str(port))
    assert result.returncode == Exit.PORT
    assert f"Port {port}" in result.stderr
    assert f"pid {os.getpid()}" in result.stderr


@pytest.mark.parametrize("text", ["80", "abc", "99999"])
def test_a_base_that_is_no_port(system, text):
    result = system.run("up", "--port-base", text)
    assert result.returncode == Exit.USAGE
    assert "from 1024 to 65000" in result.stderr


def test_busy_ports_are_stepped_over_and_never_onto_anothers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        topology = Topology(
            services=(Service(name="a", port=port, offset=0), Service(name="b", port=port + 1, offset=1)),
            databases={},
        )
        ports = choose_ports(topology, Claims(), base=None)
    assert ports["a-1"] > port + 1
    assert ports["b-1"] != ports["a-1"]


def two_free():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return sorted(server.getsockname()[1] for server in (one, other))


def test_a_base_fixes_further_ports_too():
    base, further = two_free()
    door = Door(name="a-admin", setting="ADMIN_PORT", port=1, offset=further - base)
    topology = Topology(services=(Service(name="a", port=1, offset=0, doors=(door,)),), databases={})
    claims = Claims()
    assert choose_ports(topology, claims, base=base) == {"a-1": base, "a-admin-1": further}
    with pytest.raises(LabError, match="which a-1 gets from --port-base"):
        choose_ports(topology, Claims(), base=base)
    claims.hand_over()


def test_no_two_of_the_system_want_the_same_port():
    doors = [door for service in SYSTEM.services for door in service.doors]
    for wanted in ("name", "port", "offset"):
        values = [getattr(one, wanted) for one in (*SYSTEM.services, *doors)]
        assert len(set(values)) == len(values), wanted


def test_two_starts_at_once_take_different_ports():
    topology = Topology(services=(Service(name="a", port=any_free(), offset=0),), databases={})
    first, second = Claims(), Claims()
    assert choose_ports(topology, first, base=None) != choose_ports(topology, second, base=None)
    first.hand_over()
    second.hand_over()


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://127.0.0.1/secret",
        "redis://:99999/",
        "redis+sentinel://:secret@h:1",
        "redis+cluster://:secret@h:x",
        "postgresql://h:x/secret",
    ],
)
def test_a_url_that_is_none(folder, variable, url):
    with pytest.raises(LabError, match=f"{variable} isn't a URL like") as caught:
        make_plan(SYSTEM, folder, Claims(), caller={variable: url})
    assert caught.value.code == Exit.SETTING
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("variable", "scheme"), [("DATABASE_URL", "postgresql"), ("REDIS_URL", "redis")])
def test_a_server_that_is_away(folder, variable, scheme):
    with pytest.raises(LabError, match=f"Nobody answers as {variable} says") as caught:
        make_plan(
            SYSTEM, folder, Claims(), caller={variable: f"{scheme}://u:hidden@127.0.0.1:{any_free()}/0"}
        )
    assert caught.value.code == Exit.STORE
    assert "hidden" not in str(caught.value)


def test_servers_of_ones_own_are_used(system, postgres_server, redis_server):
    system.add_store("postgres")
    system.add_store("redis")
    system.add("books", settings={"DATABASE_URL": "{books_db}", "REDIS_URL": "{redis}"})
    system.databases = {"books_db": "books_user"}
    system.environment = {"DATABASE_URL": postgres_server.url, "REDIS_URL": redis_server.url}
    system.up()
    postgres, redis, books = system.status()["services"]
    assert (postgres["url"], postgres["pid"], postgres["health"]) == (postgres_server.url, None, "healthy")
    assert (redis["url"], redis["pid"], redis["pids"]) == (redis_server.url, None, [])
    assert books["health"] == "healthy"
    assert not (system.folder.path / "postgres").exists()
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT FROM pg_database WHERE datname = 'books_db'").rowcount == 1
    redis_server.kill()
    assert system.status()["services"][1]["health"] == "down"


def test_a_password_that_is_wrong_is_found_at_the_start(system, postgres_server):
    system.add_store("postgres")
    system.databases = {"books_db": "books_user"}
    system.environment = {
        "DATABASE_URL": f"postgresql://postgres:wrong@127.0.0.1:{postgres_server.port}/postgres"
    }
    result = system.run("up", "--detach")
    assert result.returncode == Exit.STORE
    assert "password authentication failed" in result.stderr
    assert system.supervisor is None
