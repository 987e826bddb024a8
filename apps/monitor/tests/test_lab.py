"""The lab's desk through the monitor: as it says it, with our secret, never for longer than it may take."""

import json

import pytest

from bookstore.service.testing.problems import check_problem

from .stand import answer

LAB = "/v2/monitor/lab"
SECRET = "d3sk-" * 8
RUN = {
    "id": "r1", "kind": "scenario", "name": "000", "state": "running", "phase": "check",
    "started_at": "2026-11-21T12:00:00Z", "ended_at": None, "steps": [], "report": None,
}  # fmt: skip
PAGE = b"<!doctype html><script>alert(1)</script>"


def problem(status, slug):
    told = {"type": f"urn:bookstore:problem:{slug}", "title": "", "status": status, "detail": "x" * 9999}
    return answer(status, json.dumps(told | {"instance": "", "request_id": ""}).encode())


def said(value, status=200):
    return answer(status, json.dumps(value).encode())


@pytest.fixture
def desk(stand):
    return stand(**{
        "catalogue": said({"data": []}),
        "runs": said({"data": [RUN]}),
        "runs/r1": said(RUN),
        "faults": said({"data": []}),
        "reports": said({"data": []}),
        "reports/p1": answer(200, PAGE),
    })  # fmt: skip


@pytest.fixture
def monitor(watched, accounts, desk, stand):
    told = {"accounts_service_url": accounts.url, "desk_url": desk.url, "desk_secret": SECRET}
    client = watched(told, books=stand())
    client.headers.update(accounts.bearer("ops"))
    return client


def test_what_is_there_is_told_and_asked_for_with_our_secret(monitor, desk):
    assert monitor.get(f"{LAB}/catalogue").json() == {"data": []}
    assert monitor.get(f"{LAB}/runs").json() == {"data": [RUN]}
    assert monitor.get(f"{LAB}/runs/r1").json() == RUN
    assert monitor.get(f"{LAB}/reports").json() == {"data": []}
    asked = [request for request in desk.asked if request.target != "/health"]
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {SECRET}"}
    assert not [request for request in asked if "cookie" in request.headers or "origin" in request.headers]


def test_what_was_logged_about_a_trace(monitor, desk):
    line = {
        "at": "2026-11-21T12:00:00Z", "service": "books", "instance": "books-1", "level": "INFO",
        "message": "<img src=x onerror=alert(1)>", "more": {},
    }  # fmt: skip
    trace = "0af7651916cd43dd8448eb211c80319c"
    desk.answers[f"/logs/{trace}"] = said({"data": [line]})
    assert monitor.get(f"/v2/monitor/traces/{trace}/logs").json() == {"data": [line]}
    for wrong in ("x", "%2e%2e", "0" * 32):
        check_problem(monitor.get(f"/v2/monitor/traces/{wrong}/logs"), 404)


def test_a_report_is_shown_and_can_do_nothing(monitor):
    page = monitor.get(f"{LAB}/reports/p1")
    assert (page.status_code, page.content) == (200, PAGE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_run_begins_and_is_stopped(monitor, desk):
    desk.answers["/runs"] = said(RUN, 202)
    begun = monitor.post(f"{LAB}/runs", json={"kind": "scenario", "name": "000"})
    assert (begun.status_code, begun.json()) == (202, RUN)
    desk.answers["/runs/r1"] = answer(204, b"")
    assert monitor.delete(f"{LAB}/runs/r1").status_code == 204
    sent = [(request.method, request.target) for request in desk.asked if request.method != "GET"]
    assert sent == [("POST", "/runs"), ("DELETE", "/runs/r1")]
    entries = monitor.get("/v2/monitor/audit?limit=2").json()["data"]
    assert [(each["action"], each["target"], each["who"]) for each in entries] == [
        ("stop", "r1", "user 7"),
        ("run", "000", "user 7"),
    ]


@pytest.mark.parametrize(
    ("told", "status", "slug"),
    [
        (problem(404, "no-such-run"), 404, "no-such-run"),
        (problem(409, "already-running"), 409, "already-running"),
        (problem(503, "not-proxied"), 503, "not-proxied"),
        (problem(500, "internal"), 503, "desk-unavailable"),
        (problem(401, "unauthenticated"), 503, "desk-unavailable"),
        (problem(403, "forbidden"), 503, "desk-unavailable"),
        (answer(200, b"[[["), 503, "desk-unavailable"),
        (answer(200, b'{"data":[{"id":"<b>"}]}'), 503, "desk-unavailable"),
        (answer(200, b"x" * 9_000_000), 503, "desk-unavailable"),
        (answer(404, b"x"), 503, "desk-unavailable"),
        ("reset", 503, "desk-unavailable"),
        ("silence", 503, "desk-unavailable"),
    ],
)
def test_what_it_objects_and_what_it_fails_to_say(monitor, desk, told, status, slug):
    desk.answers["/runs/r1"] = told
    objection = check_problem(monitor.get(f"{LAB}/runs/r1"), status, slug)
    assert len(objection["detail"]) <= 300


def test_without_a_desk(watched, accounts, stand):
    monitor = watched({"accounts_service_url": accounts.url}, books=stand())
    monitor.headers.update(accounts.bearer("ops"))
    for path in ("catalogue", "runs", "runs/1", "reports", "reports/1"):
        check_problem(monitor.get(f"{LAB}/{path}"), 503, "no-desk")
    check_problem(monitor.post(f"{LAB}/runs", json={"kind": "scenario", "name": "000"}), 503, "no-desk")
    assert monitor.get("/v2/monitor/session").json()["lab_available"] is False


def test_the_picture_shows_what_runs(monitor):
    with monitor.stream("GET", "/v2/monitor/events") as stream:
        for line in stream.iter_lines():
            if line.startswith('data: {"instances"') and json.loads(line[6:])["run"] is not None:
                break
    assert json.loads(line[6:])["run"] == RUN
