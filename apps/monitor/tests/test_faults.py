"""Failures switched on: where that is allowed, for how long, by whom; and who else may be dead meanwhile."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from bookstore.service.testing import eventually
from bookstore.service.testing.peer import Peer, reset
from bookstore.service.testing.problems import check_problem

from .stand import answer

URL = "/v2/monitor/faults"
SECRET = "d3sk-" * 8
SLOW = {"service": "supplier", "kind": "supplier", "mode": "slow", "parameters": {"delay": 2}, "seconds": 30}
KILL = {
    "service": "books",
    "kind": "process",
    "mode": "kill",
    "parameters": {"instance": "books-1"},
    "seconds": 5,
}
POSSIBLE = {
    "service": "books", "kind": "process", "mode": "kill", "says": "Kill it.",
    "parameters": {"instance": {"default": "books-1", "choices": ["books-1", "books-2"]}},
}  # fmt: skip


class Lab(Peer):
    """A supplier's control port and the lab's desk in one. `mode` is "well", "silent", "reset" or bytes."""

    def __init__(self):
        self.mode = "well"
        self.now = {"mode": "normal", "since": "2026-11-21T12:00:00Z", "ends_at": None}
        self.faults = {}
        self.asked = []
        super().__init__()

    async def respond(self, request, writer):
        if self.mode == "silent":
            await asyncio.Event().wait()
        elif self.mode == "reset":
            reset(writer)
        elif isinstance(self.mode, bytes):
            writer.write(self.mode)
        else:
            if request.target != "/health":
                self.asked.append(request)
            status, told = self._told(request)
            writer.write(answer(status, b"" if told is None else json.dumps(told).encode()))
        await writer.drain()

    def _told(self, request):  # noqa: PLR0911 - a table
        path, sent = request.target, json.loads(request.body or b"null")
        if path == "/get_failure_mode":
            return 200, self.now
        if path == "/set_failure_mode":
            since = datetime.now(UTC)
            told = {name: value for name, value in sent.items() if value is not None}
            self.now = told | {"since": since.isoformat(), "ends_at": None}
            if sent.get("for"):
                self.now["ends_at"] = (since + timedelta(seconds=sent["for"])).isoformat()
            return 200, self.now | {"status": "success"}
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return 401, {}
        if path == "/faults/possible":
            return 200, {"data": [POSSIBLE]}
        if path == "/faults" and request.method == "POST":
            since = datetime.now(UTC)
            fault = {name: sent[name] for name in ("service", "kind", "mode", "parameters", "by")}
            ends = since + timedelta(seconds=sent["seconds"])
            self.faults["f1"] = fault | {
                "id": "f1", "since": since.isoformat(), "ends_at": ends.isoformat(),
            }  # fmt: skip
            return 201, self.faults["f1"]
        if request.method == "DELETE":
            name = path.removeprefix("/faults").strip("/")
            if name and name not in self.faults:
                return 404, {"type": "urn:bookstore:problem:no-such-fault", "title": "", "status": 404,
                             "detail": "it is over", "instance": "", "request_id": ""}  # fmt: skip
            self.faults.clear()
            return 204, None
        return 200, {"data": [*self.faults.values()]} if path == "/faults" else {"data": []}


@pytest.fixture
def lab():
    lab = Lab()
    yield lab
    lab.close()


@pytest.fixture
def desk():
    desk = Lab()
    yield desk
    desk.close()


@pytest.fixture
def monitor(watched, accounts, lab, desk, stand):
    told = {
        "accounts_service_url": accounts.url,
        "supplier_control_url": lab.url,
        "desk_url": desk.url,
        "desk_secret": SECRET,
        "faults_allowed": True,
    }
    client = watched(told, books=stand())
    client.headers.update(accounts.bearer("ops"))
    return client


def known(monitor):
    return monitor.get(URL).json()["data"]


def test_the_supplier_fails_for_so_long_and_no_longer(monitor, lab):
    made = monitor.post(URL, json=SLOW)
    assert made.status_code == 201
    fault = made.json()
    assert (fault["mode"], fault["parameters"], fault["by"]) == ("slow", {"delay": 2, "rate": 1.0}, "user 7")
    lasts = datetime.fromisoformat(fault["ends_at"]) - datetime.fromisoformat(fault["since"])
    assert lasts == timedelta(seconds=30)
    [sent] = [json.loads(each.body) for each in lab.asked if each.method == "POST"]
    assert sent["for"] == 30  # the supplier itself counts the time: nobody else has to live so long
    assert known(monitor) == [fault]
    assert monitor.get("/v2/monitor/topology").json()["faults"] == [fault]
    assert monitor.delete(f"{URL}/{fault['id']}").status_code == 204
    assert known(monitor) == []
    check_problem(monitor.delete(f"{URL}/{fault['id']}"), 404)


def test_of_two_operators_the_later_one_is_heard_and_the_earlier_one_ends_nothing(monitor):
    first, second = (monitor.post(URL, json=SLOW | {"seconds": seconds}).json() for seconds in (30, 40))
    check_problem(monitor.delete(f"{URL}/{first['id']}"), 404)
    assert known(monitor) == [second]


def test_what_others_have_switched_on_is_told_and_can_be_ended(monitor, lab):
    monitor.post(URL, json=SLOW)
    lab.now = {"mode": "down", "since": "2026-11-21T12:00:00Z", "ends_at": None}
    [fault] = known(monitor)
    assert (fault["id"], fault["mode"], fault["by"]) == ("supplier", "down", "")
    assert monitor.delete(f"{URL}/supplier").status_code == 204
    assert lab.now["mode"] == "normal"


def test_another_monitor_knows_of_it_too(monitor, watched, lab, stand):
    """As one does that has started again."""
    fault = monitor.post(URL, json=SLOW).json()
    [seen] = known(watched({"supplier_control_url": lab.url}, books=stand()))
    assert (seen["ends_at"], seen["by"]) == (fault["ends_at"], "")


def test_the_desk_is_told_who_and_for_how_long(monitor, desk):
    fault = monitor.post(URL, json=KILL).json()
    [sent] = [json.loads(each.body) for each in desk.asked if each.method == "POST"]
    assert sent == KILL | {"by": "user 7", "seconds": 5.0}
    assert known(monitor) == [fault]
    assert monitor.delete(f"{URL}/{fault['id']}").status_code == 204
    check_problem(monitor.delete(f"{URL}/{fault['id']}"), 404, "no-such-fault")


def test_what_could_be(monitor):
    possible = monitor.get(URL).json()["possible"]
    modes = {each["mode"]: each for each in possible}
    assert {"slow", "error", "down", "flaky", "hang", "throttled", "kill"} <= modes.keys()
    assert "normal" not in modes
    assert modes["slow"]["parameters"]["delay"] == {
        "default": 5.0, "least": 0.0, "most": 300.0, "unit": "s", "choices": None,
    }  # fmt: skip
    assert modes["kill"]["parameters"]["instance"]["choices"] == ["books-1", "books-2"]


@pytest.mark.parametrize(
    "mode", ["silent", "reset", answer(500, b"{}"), answer(302, b""), answer(401, b"{}")]
)
def test_a_desk_that_is_dead_takes_nobody_the_suppliers_modes(monitor, lab, desk, mode):
    desk.mode = mode
    fault = monitor.post(URL, json=SLOW).json()
    assert known(monitor) == [fault]
    check_problem(monitor.post(URL, json=KILL), 503, "desk-unavailable")
    check_problem(monitor.delete(URL), 503, "desk-unavailable")
    assert lab.now["mode"] == "normal"  # what could be ended is ended


@pytest.mark.parametrize("mode", ["silent", "reset", answer(500, b"{}"), answer(200, b"[[[")])
def test_a_supplier_that_is_dead_takes_nobody_the_desks_faults(monitor, lab, desk, mode):
    monitor.post(URL, json=KILL)
    lab.mode = mode
    check_problem(monitor.post(URL, json=SLOW), 503, "supplier-unavailable")
    check_problem(monitor.delete(URL), 503, "supplier-unavailable")
    assert desk.faults == {}


def test_all_end_together(monitor, lab, desk):
    monitor.post(URL, json=SLOW)
    monitor.post(URL, json=KILL)
    assert len(known(monitor)) == 2
    assert monitor.delete(URL).status_code == 204
    assert (lab.now["mode"], desk.faults, known(monitor)) == ("normal", {}, [])


def test_where_it_is_not_allowed_nothing_can_be_switched(watched, accounts, lab, desk, stand):
    told = {
        "accounts_service_url": accounts.url,
        "supplier_control_url": lab.url,
        "desk_url": desk.url,
        "desk_secret": SECRET,
    }
    monitor = watched(told, books=stand())
    monitor.headers.update(accounts.bearer("ops"))
    for fault in (SLOW, KILL):
        check_problem(monitor.post(URL, json=fault), 403, "faults-not-allowed")
    check_problem(monitor.delete(f"{URL}/supplier"), 403, "faults-not-allowed")
    check_problem(monitor.delete(URL), 403, "faults-not-allowed")
    assert monitor.get(URL).json() == {"data": [], "possible": []}
    assert not [request for peer in (lab, desk) for request in peer.asked if request.method != "GET"]
    [last] = monitor.get("/v2/monitor/audit?limit=1").json()["data"]
    assert (last["action"], last["outcome"]) == ("end-fault", "faults-not-allowed")


def test_the_picture_shows_them_while_somebody_looks(monitor):
    monitor.post(URL, json=KILL)
    with monitor.stream("GET", "/v2/monitor/events") as stream:
        lines = stream.iter_lines()

        def faults():
            line = next(lines)
            return line.startswith('data: {"instances"') and json.loads(line[6:])["topology"]["faults"]

        [fault] = eventually(faults)
    assert fault["mode"] == "kill"
