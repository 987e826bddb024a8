"""The desk as a process of a system of stand-ins: who may speak to it; faults end whatever happens."""

import json
import signal
import urllib.error
import urllib.request

import psutil
import pytest

from bookstore.stores.redis import redis_command

ME = {"by": "somebody"}


class Desk:
    """Speaks to the desk of a running system, as the monitor does."""

    def __init__(self, system):
        self.system = system
        self.headers = {"Authorization": f"Bearer {system.credentials['passwords']['desk']}"}

    def ask(self, method, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own
            self.system.rows["desk-1"].url + path, data, {**self.headers, **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def switch_on(self, service, kind, mode, seconds=300.0, **parameters):
        wish = {"service": service, "kind": kind, "mode": mode, "seconds": seconds, "parameters": parameters}
        status, fault = self.ask("POST", "/faults", {**wish, **ME})
        assert status == 201, fault
        return fault

    @property
    def on(self):
        return [(each["service"], each["mode"]) for each in self.ask("GET", "/faults")[1]["data"]]


def with_desk(system):
    system.add("desk", run=["-m", "bookstore.lab.desk"], apart=True)
    system.services[-1]["settings"] = {"BOOKSTORE_STATE": "{state}", "DESK_SECRET": "{desk_secret}"}
    system.up_with("--proxied")
    return Desk(system)


@pytest.fixture(scope="module")
def shared_desk(shared_system):
    shared_system.add("books", replicas=2)
    shared_system.add("orders", settings={"MODE": "", "BOOKS_SERVICE_URL": "{books}"})
    shared_system.add_store("redis")
    return with_desk(shared_system)


@pytest.fixture
def desk(shared_desk, eventually):
    """Whoever breaks something waits until it is well again."""
    yield shared_desk
    shared_desk.ask("DELETE", "/faults")
    eventually(lambda: all(row.ready for row in shared_desk.system.rows.values()))


def stopped(row):
    return psutil.Process(row.pid).status() == psutil.STATUS_STOPPED


@pytest.mark.long
def test_faults_of_processes_are_held_and_end(desk, eventually):
    """Each of them once, in one system: killed, frozen and terminated, by time, by hand, and all together."""
    rows = desk.system.rows
    books, frozen = rows["books-2"].process, rows["orders-1"]
    killed = desk.switch_on("books", "process", "kill", instance="books-2")
    assert killed["by"] == "somebody"
    desk.switch_on("orders", "process", "freeze", seconds=1)
    # It comes back, and is killed again.
    eventually(lambda: desk.system.rows["books-2"].restarts >= 2)
    assert not books.alive
    assert desk.system.rows["books-1"].process == rows["books-1"].process
    eventually(lambda: not stopped(frozen))
    assert desk.on == [("books", "kill")]
    assert desk.ask("DELETE", f"/faults/{killed['id']}")[0] == 204
    assert desk.ask("DELETE", f"/faults/{killed['id']}")[0] == 404
    eventually(lambda: desk.system.rows["books-2"].ready)

    desk.switch_on("books", "process", "terminate", instance="books-1")
    desk.switch_on("orders", "process", "freeze")
    assert stopped(frozen)
    eventually(lambda: "good order" in desk.system.rows["books-1"].note)
    assert desk.ask("DELETE", "/faults")[0] == 204
    eventually(lambda: desk.system.rows["books-1"].ready)
    assert not stopped(frozen)
    assert (desk.on, list(desk.system.folder.desk.glob("faults*"))) == ([], [])


@pytest.mark.long
def test_faults_of_stores_and_ways(desk, eventually):
    redis, proxies = desk.system.rows["redis"], desk.system.rows["network"]
    redis_command(redis.url, "SET", "x", "1")
    desk.switch_on("redis", "store", "flush", seconds=1)
    eventually(lambda: redis_command(redis.url, "EXISTS", "x") == ":0")
    desk.switch_on("redis", "store", "freeze", seconds=1)
    assert stopped(redis)
    desk.switch_on("orders", "network", "latency", latency=100.0)
    desk.switch_on("orders", "network", "bandwidth", to="books")
    cut = desk.switch_on("orders", "network", "cut", seconds=1)

    def way():
        try:
            with urllib.request.urlopen(f"{proxies.url}/proxies/orders->books") as answer:  # noqa: S310 - our own
                return json.loads(answer.read())
        except OSError:
            return {"toxics": []}

    assert {(toxic["type"], toxic["stream"]) for toxic in way()["toxics"]} == {
        (kind, stream) for kind in ("latency", "bandwidth") for stream in ("upstream", "downstream")
    }
    assert (cut["parameters"], way()["enabled"]) == ({"to": "books"}, False)
    eventually(lambda: way()["enabled"] and not stopped(redis))
    # Proxies that die forget what they were told; it is told them again.
    proxies.process.send(signal.SIGKILL)
    eventually(lambda: desk.system.rows["network"].ready and len(way()["toxics"]) == 4)
    desk.ask("DELETE", "/faults")
    assert way()["toxics"] == []


@pytest.mark.long
def test_a_desk_that_dies_is_started_again_and_takes_everything_back(desk, eventually):
    books = desk.system.rows["books-1"]
    desk.switch_on("books", "process", "freeze", instance="books-1")
    desk.switch_on("redis", "store", "freeze")
    desk.switch_on("orders", "process", "terminate")
    eventually(lambda: desk.system.rows["orders-1"].pid is None)
    assert len(json.loads((desk.system.folder.desk / "faults.json").read_text())) == 3
    desk.system.rows["desk-1"].process.send(signal.SIGKILL)
    eventually(lambda: desk.system.rows["desk-1"].restarts and desk.system.rows["desk-1"].ready)
    eventually(lambda: desk.system.rows["orders-1"].ready)
    assert not stopped(books)
    assert not stopped(desk.system.rows["redis"])
    assert desk.on == []


@pytest.mark.long
def test_down_ends_what_is_held(system):
    system.add("books")
    system.add_store("redis")
    desk = with_desk(system)
    for service, kind in (("books", "process"), ("redis", "store")):
        desk.switch_on(service, kind, "freeze")
    family = desk.system.family()
    assert desk.system.run("down").returncode == 0
    assert not any(member.alive for member in family)
    log = desk.system.folder.log("supervisor").read_text()
    assert "was killed, because" not in log


def test_a_fault_ends_by_itself(desk, eventually):
    books = desk.system.rows["books-1"]
    fault = desk.switch_on("books", "process", "freeze", seconds=1)
    assert (desk.on, stopped(books)) == ([("books", "freeze")], True)
    again = desk.ask("POST", "/faults", {**GOOD, "mode": "freeze"})
    assert (again[0], again[1]["type"]) == (409, "urn:bookstore:problem:already-on")
    assert fault["since"] < fault["ends_at"]
    eventually(lambda: not desk.on)
    assert not stopped(books)


def test_who_may_not_speak_and_what_makes_no_sense(desk):
    assert desk.ask("GET", "/health") == (200, {"status": "healthy", "services": {}})
    right, desk.headers = desk.headers, {}
    for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": right["Authorization"] + "x"}):
        for method, path in (("GET", "/runs"), ("POST", "/faults"), ("GET", "/logs/x"), ("GET", "/nothing")):
            status, problem = desk.ask(method, path, **wrong)
            assert (status, problem["type"]) == (401, "urn:bookstore:problem:unauthenticated")
    assert desk.ask("GET", "/health", Origin="http://evil.example")[0] == 403
    desk.headers = right
    for status, method, path, body in REFUSED:
        answer = desk.ask(method, path, body)
        assert answer[0] == status, (path, body, answer)
        assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(answer[1])
    assert desk.on == []
    possible = desk.ask("GET", "/faults/possible")[1]["data"]
    assert {each["service"] for each in possible} == {"books", "orders", "redis"}
    catalogue = desk.ask("GET", "/catalogue")[1]["data"]
    assert {"scenario", "experiment"} == {each["kind"] for each in catalogue}
    assert "worker-killed" in {each["name"] for each in catalogue}
    assert desk.ask("GET", "/runs?limit=1") == desk.ask("GET", "/reports") == (200, {"data": []})


GOOD = {"service": "books", "kind": "process", "mode": "kill", "seconds": 5}
LATE = {**GOOD, "service": "orders", "kind": "network", "mode": "latency"}
REFUSED = [
    (422, "POST", "/faults", {**GOOD, "service": "desk"}),
    (422, "POST", "/faults", {**GOOD, "service": "network"}),
    (422, "POST", "/faults", {**GOOD, "mode": "delete"}),
    (422, "POST", "/faults", {**GOOD, "kind": "supplier"}),
    (422, "POST", "/faults", {**GOOD, "seconds": 0}),
    (422, "POST", "/faults", {**GOOD, "seconds": 601}),
    (422, "POST", "/faults", {key: value for key, value in GOOD.items() if key != "seconds"}),
    (422, "POST", "/faults", {**GOOD, "parameters": {"instance": "orders-1"}}),
    (422, "POST", "/faults", {**GOOD, "parameters": {"pid": 1}}),
    (422, "POST", "/faults", {**GOOD, "surprise": 1}),
    (422, "POST", "/faults", {**LATE, "parameters": {"latency": 1e9}}),
    (422, "POST", "/faults", {**LATE, "parameters": {"latency": "long"}}),
    (422, "POST", "/faults", {**LATE, "parameters": {"to": "gateway"}}),
    (422, "POST", "/faults", []),
    (404, "DELETE", "/faults/abc", None),
    (404, "PUT", "/faults", {}),
    (404, "POST", "/runs", {"kind": "experiment", "name": "/etc/passwd"}),
    (422, "POST", "/runs", {"kind": "command", "name": "x"}),
    (404, "GET", "/runs/none", None),
    (422, "GET", "/runs?limit=x", None),
    (404, "GET", "/reports/..%2F..%2Fcredentials.json", None),
    (422, "GET", "/logs/x", None),
    (404, "GET", "/nothing", None),
]  # fmt: skip
"""What is refused: its status, and what was asked."""
