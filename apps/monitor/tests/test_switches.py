"""Everything that changes something: who may, from where, in which form. One list, held against the app."""

import pytest

from bookstore.monitor.app import create_app
from bookstore.monitor.settings import MonitorSettings
from bookstore.service.testing.problems import check_problem

from .conftest import watching
from .house import PASSWORD
from .stand import Stand

BASE = "/v2/monitor"
CIRCUIT = {"service": "books", "dependency": "redis", "action": "force_open"}
FAULT = {"service": "supplier", "kind": "supplier", "mode": "down", "seconds": 5}
SWITCHES = [
    ("POST", "/tickets", {}),
    ("POST", "/circuits", CIRCUIT),
    ("POST", "/queue/redrive", {"job_id": None}),
    ("POST", "/queue/purge", {"job_id": None}),
    ("POST", "/queue/pause", {}),
    ("POST", "/queue/resume", {}),
    ("POST", "/faults", FAULT),
    ("DELETE", "/faults/{fault_id}", None),
    ("DELETE", "/faults", None),
    ("POST", "/try", {"what": "browse"}),
    ("POST", "/lab/runs", {"kind": "scenario", "name": "000"}),
    ("DELETE", "/lab/runs/{run_id}", None),
]
SIGNING = [
    ("POST", "/session", {"email": "ops@bookstore.local", "password": PASSWORD}),
    ("DELETE", "/session", None),
]
"""Those that let somebody in or out: for everybody, but from nowhere else."""
ALL = SWITCHES + SIGNING
NO_SWITCH = {("POST", "/v1/traces")}
"""What services send."""

each_switch = pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: " ".join(switch[:2]))
each_of_all = pytest.mark.parametrize("switch", ALL, ids=lambda switch: " ".join(switch[:2]))


@pytest.fixture(scope="module")
def behind():
    """What nobody who may not must reach."""
    behind = Stand()
    yield behind
    behind.close()


@pytest.fixture(scope="module")
def monitor(accounts, behind):
    told = {
        "accounts_service_url": accounts.url,
        "supplier_control_url": behind.url,
        "desk_url": behind.url,
        "faults_allowed": True,
    }
    with watching({"books": behind, "orders": behind, "gateway": behind}, **told) as client:
        yield client


def send(monitor, switch, headers=None, *, as_json=True, **more):
    method, path, body = switch
    url = BASE + path.format(fault_id="supplier", run_id="1")
    if method == "POST" and as_json:
        more["json"] = body
    return monitor.request(method, url, headers=headers, **more)


def untouched(behind):
    return not [request for request in behind.asked if request.method != "GET"]


def test_the_list_is_whole():
    """A new switch stands in the list above, or this fails: and what stands there is checked below."""
    app = create_app(MonitorSettings(targets="books=http://127.0.0.1:1")).router
    found = {
        (method, route.path_format)
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method not in {"GET", "HEAD", "OPTIONS"}
    }
    assert found == {(method, BASE + path) for method, path, _ in ALL} | NO_SWITCH


@each_switch
def test_who_may_not(monitor, accounts, behind, switch):
    for who, status, headers in (
        ("nobody", 401, {}),
        ("a customer", 403, accounts.bearer("customer")),
        ("staff", 403, accounts.bearer("staff")),
        ("a stranger's cookie", 401, {"Cookie": "bookstore_console=x"}),
        ("a forger", 401, {"Authorization": accounts.bearer("ops")["Authorization"][:-3] + "abc"}),
    ):
        answer = send(monitor, switch, headers)
        assert (who, answer.status_code) == (who, status)
        check_problem(answer, status)
    assert untouched(behind)


FOREIGN = {
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:9"},
    "no site at all": {"Origin": "null"},
    "nonsense": {"Origin": "http://[::1"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "the address bar": {"Sec-Fetch-Site": "none"},
}


@each_of_all
def test_from_where_it_may_not_come(monitor, accounts, behind, switch):
    for page, headers in FOREIGN.items():
        answer = send(monitor, switch, accounts.bearer("ops") | headers)
        assert (page, answer.status_code) == (page, 403)
        check_problem(answer, 403, "foreign-origin")
    assert untouched(behind)


FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", None]


@each_of_all
def test_in_which_form_it_may_not_come(monitor, accounts, behind, switch):
    for kind in FORMS:
        if kind is None and switch[0] == "DELETE":
            continue  # which no form can send
        headers = accounts.bearer("ops") | ({"Content-Type": kind} if kind else {})
        answer = send(monitor, switch, headers, as_json=False, content=b'{"job_id":null}' if kind else None)
        assert (kind, answer.status_code) == (kind, 415)
    assert untouched(behind)


@each_of_all
def test_looking_at_it_changes_nothing(monitor, accounts, behind, switch):
    url = BASE + switch[1].format(fault_id="supplier", run_id="1")
    for method in ("GET", "HEAD"):
        answer = monitor.request(method, url, headers=accounts.bearer("ops"))
        assert answer.status_code in {200, 401, 404, 405, 503}
    assert untouched(behind)


NONSENSE = [b"", b"[", b"null", b'"x"', b'{"what":"all"}', b"[" * 5000, b'{"a":1,"a":2}']


@each_switch
def test_what_is_no_order(monitor, accounts, behind, switch):
    if not switch[2]:
        return  # which takes nothing, or anything
    headers = accounts.bearer("ops") | {"Content-Type": "application/json"}
    for body in NONSENSE:
        answer = send(monitor, switch, headers, as_json=False, content=body)
        assert (body, answer.status_code) == (body, 422)
    assert untouched(behind)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/circuits", CIRCUIT | {"action": "disable"}),
        ("/circuits", CIRCUIT | {"dependency": "../../auth/logout"}),
        ("/circuits", CIRCUIT | {"dependency": "a b"}),
        ("/circuits", CIRCUIT | {"dependency": "redis\r\nX-A: b"}),
        ("/circuits", CIRCUIT | {"service": "<b>"}),
        ("/circuits", CIRCUIT | {"instance": "x" * 65}),
        ("/queue/redrive", {}),
        ("/queue/redrive", {"job_id": "1/../../pause"}),
        ("/queue/redrive", {"job_id": -1}),
        ("/faults", FAULT | {"seconds": 0}),
        ("/faults", FAULT | {"seconds": 601}),
        ("/faults", FAULT | {"seconds": None}),
        ("/faults", {name: value for name, value in FAULT.items() if name != "seconds"}),
        ("/faults", FAULT | {"mode": "normal"}),
        ("/faults", FAULT | {"mode": "slow", "parameters": {"delay": 1e9}}),
        ("/faults", FAULT | {"mode": "slow", "parameters": {"for": 1}}),
        ("/faults", FAULT | {"mode": "slow", "parameters": {"mode": "down"}}),
        ("/faults", FAULT | {"mode": "slow", "parameters": {"delay": "x" * 101}}),
        ("/faults", FAULT | {"parameters": {f"p{number}": 1 for number in range(11)}}),
        ("/faults", FAULT | {"service": "books"}),
        ("/lab/runs", {"kind": "demo", "name": "x"}),
        ("/try", {"what": "browse", "times": 1000}),
    ],
)
def test_what_no_operator_means(monitor, accounts, behind, path, body):
    answer = monitor.post(BASE + path, json=body, headers=accounts.bearer("ops"))
    check_problem(answer, 422)
    assert untouched(behind)


@pytest.mark.parametrize("fault", ["..", "%2e%2e%2fx", "a b", "%00", "x" * 200, "<b>"])
def test_a_name_that_is_none_leads_nowhere(monitor, accounts, behind, fault):
    for place in ("faults", "lab/runs"):
        answer = monitor.delete(f"{BASE}/{place}/{fault}", headers=accounts.bearer("ops"))
        assert answer.status_code in {404, 405}
    assert untouched(behind)


def test_an_origin_that_is_ours_is_let_in(monitor, accounts):
    headers = accounts.bearer("ops") | {"Origin": str(monitor.base_url), "Sec-Fetch-Site": "same-origin"}
    assert monitor.post(f"{BASE}/tickets", json={}, headers=headers).status_code == 201
