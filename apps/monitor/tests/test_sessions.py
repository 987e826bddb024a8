"""Signing in: with a password, with a ticket, for how long, and what happens when accounts is away."""

import json

import httpx
import pytest

from bookstore.monitor.sessions import model
from bookstore.monitor.sessions.model import Book, Credentials, Failures, Session, TooManyFailures
from bookstore.service.problem import Problem
from bookstore.service.testing import eventually
from bookstore.service.testing.problems import check_problem
from bookstore.service.tokens import OPERATOR

from .conftest import watching
from .house import PASSWORD
from .stand import Stand, answer

SESSION, TICKETS = "/v2/monitor/session", "/v2/monitor/tickets"
OPS = {"email": "ops@bookstore.local", "password": PASSWORD}


@pytest.fixture(scope="module")
def orders():
    orders = Stand()
    yield orders
    orders.close()


@pytest.fixture(scope="module")
def served(accounts, orders):
    told = {"accounts_service_url": accounts.url, "auth_required": True, "desk_url": "http://127.0.0.1:9"}
    with watching({"orders": orders}, **told) as client:
        yield client


@pytest.fixture
def monitor(served, accounts, orders, monkeypatch):
    """A browser that nobody has signed in with."""
    monkeypatch.setattr(model, "FAILURES", 1000)
    accounts.mode, accounts.life = "well", 600
    accounts.asked.clear()
    orders.asked.clear()
    orders.answers.clear()
    with httpx.Client(base_url=served.base_url, timeout=20, trust_env=False) as browser:
        yield browser


def signed_in(monitor):
    return monitor.get(SESSION).json()["signed_in"]


def pause(monitor):
    return monitor.post("/v2/monitor/queue/pause", json={})


def test_with_a_password(monitor, accounts):
    assert monitor.get(SESSION).json() == {
        "signed_in": False, "who": None, "roles": [], "expires_at": None, "may_read": False,
        "may_switch": False, "faults_allowed": False, "lab_available": True, "jaeger_url": None,
    }  # fmt: skip
    check_problem(monitor.get("/v2/monitor/instances"), 401)
    answer = monitor.post(SESSION, json=OPS)
    assert answer.status_code == 201
    session = answer.json()
    assert (session["signed_in"], session["who"], session["roles"]) == (True, OPS["email"], ["ops"])
    assert (session["may_read"], session["may_switch"]) == (True, True)
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.partition("; ")[2] == "Path=/; HttpOnly; SameSite=Strict"
    assert answer.headers["cache-control"] == "no-store"
    assert "token" not in answer.text
    assert monitor.get(SESSION).json().keys() == session.keys()
    assert monitor.get(SESSION).json()["who"] == OPS["email"]
    assert monitor.get("/v2/monitor/instances").status_code == 200
    assert [
        request.headers["x-forwarded-for"] for request in accounts.asked if request.target == "/auth/login"
    ]


def test_over_https_the_cookie_goes_over_https_alone(monitor):
    answer = monitor.post(SESSION, json=OPS, headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in answer.headers["set-cookie"]


def test_signing_out_ends_it_for_whoever_holds_the_cookie(monitor, accounts):
    monitor.post(SESSION, json=OPS)
    cookie = {"Cookie": f"{model.COOKIE}={monitor.cookies[model.COOKIE]}"}
    answer = monitor.delete(SESSION)
    assert (answer.status_code, "Max-Age=0" in answer.headers["set-cookie"]) == (204, True)
    check_problem(monitor.get("/v2/monitor/instances", headers=cookie), 401)
    eventually(lambda: len(accounts.ended) == 1)
    assert monitor.delete(SESSION).status_code == 204


@pytest.mark.parametrize(
    ("sent", "status", "slug"),
    [
        (OPS | {"password": "wrong"}, 401, "invalid-credentials"),
        ({"email": "nobody@bookstore.local", "password": PASSWORD}, 401, "invalid-credentials"),
        ({"ticket": "none"}, 401, "invalid-credentials"),
        ({"ticket": "\ud800"}, 422, None),
        ({"email": "staff@bookstore.local", "password": PASSWORD}, 403, "forbidden"),
        ({"email": "customer@bookstore.local", "password": PASSWORD}, 403, "forbidden"),
        ({"email": "ops@bookstore.local"}, 422, "validation"),
        (OPS | {"ticket": "x"}, 422, "validation"),
        (OPS | {"password": "x" * 2000}, 422, "validation"),
        ({}, 422, "validation"),
    ],
)
def test_who_is_not_let_in(monitor, sent, status, slug):
    sent = json.dumps(sent).encode()
    answer = monitor.post(SESSION, content=sent, headers={"Content-Type": "application/json"})
    problem = check_problem(answer, status, slug)
    assert PASSWORD not in answer.text
    assert "set-cookie" not in answer.headers
    assert status != 401 or problem["detail"] == "that is no way in, or not any more"
    assert not signed_in(monitor)


def test_who_is_no_operator_is_signed_out_at_accounts_again(monitor, accounts):
    before = len(accounts.ended)
    monitor.post(SESSION, json={"email": "staff@bookstore.local", "password": PASSWORD})
    eventually(lambda: len(accounts.ended) > before)


@pytest.mark.parametrize(("mode", "status"), [(500, 503), (503, 503), (429, 429), ("silent", 503)])
def test_accounts_away_is_nobodys_wrong_password(monitor, accounts, mode, status):
    accounts.mode = mode
    check_problem(monitor.post(SESSION, json=OPS), status)
    accounts.mode = "well"
    assert monitor.post(SESSION, json=OPS).status_code == 201


def test_a_ticket_lets_somebody_in_once(monitor, accounts):
    tokens = accounts.tokens("ops")
    answer = monitor.post(
        TICKETS,
        json={"refresh_token": tokens["refresh_token"]},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    assert answer.status_code == 201
    assert "bookstore_console" not in monitor.cookies
    ticket = answer.json()["ticket"]
    assert monitor.post(SESSION, json={"ticket": ticket}).json()["who"] == OPS["email"]
    monitor.cookies.clear()
    check_problem(monitor.post(SESSION, json={"ticket": ticket}), 401)
    assert not signed_in(monitor)


def test_a_session_makes_no_tickets(monitor):
    monitor.post(SESSION, json=OPS)
    check_problem(monitor.post(TICKETS, json={}), 401)


def test_calls_are_made_in_that_persons_name_with_a_token_that_is_good(monitor, accounts, orders):
    orders.answers["/v1/queue/pause"] = answer(200, b'{"paused_since":null,"kinds":{}}')
    accounts.life = 0  # it has ended when it is needed
    monitor.post(SESSION, json=OPS)
    accounts.life = 600
    assert pause(monitor).status_code == 200
    assert pause(monitor).status_code == 200
    sent = [request.headers["authorization"] for request in orders.asked if request.method == "POST"]
    assert len(sent) == 2
    assert all(each.startswith("Bearer ey") for each in sent)
    assert accounts.times("/auth/refresh") == 1


def test_a_token_that_is_refused_is_replaced_once(monitor, accounts, orders):
    orders.answers["/v1/queue/pause"] = answer(401, b"")
    monitor.post(SESSION, json=OPS)
    check_problem(pause(monitor), 503, "orders-unavailable")
    assert accounts.times("/auth/refresh") == 1
    assert sum(request.method == "POST" for request in orders.asked) == 2


def test_accounts_away_takes_nobody_the_view(monitor, accounts, orders):
    accounts.life = 0
    monitor.post(SESSION, json=OPS)
    accounts.mode = 503
    check_problem(pause(monitor), 503, "accounts-unavailable")
    assert not [request for request in orders.asked if request.method == "POST"]
    assert monitor.get("/v2/monitor/instances").status_code == 200
    assert signed_in(monitor)


def test_who_is_not_let_in_again_at_accounts_is_out_here(monitor, accounts):
    accounts.life = 0
    monitor.post(SESSION, json=OPS)
    accounts.refresh_tokens.clear()
    check_problem(pause(monitor), 401)
    assert not signed_in(monitor)
    check_problem(monitor.get("/v2/monitor/instances"), 401)


def test_who_is_no_operator_any_more_is_out(monitor, accounts):
    accounts.life = 0
    monitor.post(SESSION, json=OPS)
    [last] = list(accounts.refresh_tokens)[-1:]
    accounts.refresh_tokens[last] = "customer"
    check_problem(pause(monitor), 401)
    assert not signed_in(monitor)


def test_the_stream_ends_with_its_session(monitor):
    monitor.post(SESSION, json=OPS)
    with monitor.stream("GET", "/v2/monitor/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        other = httpx.Client(base_url=monitor.base_url, cookies=dict(monitor.cookies), trust_env=False)
        with other:
            assert other.delete(SESSION).status_code == 204
        for _ in lines:  # it comes to an end
            pass


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_foreign_pages_take_no_places_at_the_stream(monitor, site):
    monitor.post(SESSION, json=OPS)
    with monitor.stream("GET", "/v2/monitor/events", headers={"Sec-Fetch-Site": site}) as stream:
        assert stream.status_code == 403


def test_all_of_it_is_in_the_audit(monitor, orders):
    orders.answers["/v1/queue/jobs/3/redrive"] = answer(
        409, b'{"type":"urn:bookstore:problem:not-dead","title":"x","status":409,"detail":"no","instance":"",'
        b'"request_id":""}',
    )  # fmt: skip
    monitor.post(SESSION, json=OPS | {"password": "wrong"})
    monitor.post(SESSION, json=OPS)
    check_problem(monitor.post("/v2/monitor/queue/redrive", json={"job_id": 3}), 409, "not-dead")
    entries = monitor.get("/v2/monitor/audit?limit=3").json()["data"]
    assert [(each["action"], each["who"], each["outcome"], each["parameters"]) for each in entries] == [
        ("redrive", OPS["email"], "not-dead", {"job_id": 3}),
        ("sign-in", OPS["email"], "done", {"by": "password"}),
        ("sign-in", "", "invalid-credentials", {"by": "password"}),
    ]


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def session(ends):
    credentials = Credentials(access_token="a", refresh_token=None, good_until=ends)
    return Session(who="ops", caller=OPERATOR, credentials=credentials, ends=ends)


def test_tickets_and_sessions_have_an_end():
    clock = Clock()
    book = Book(clock)
    late, used = book.issue(session(9e9))[0], book.issue(session(9e9))[0]
    secret = book.begin(session(clock.now + 60))
    with book.redeem(used) as found:
        assert found
    with book.redeem(used) as found:
        assert found is None
    clock.now += 59
    assert book.find(secret)
    clock.now += 1
    assert book.find(secret) is None
    assert not book.sessions()
    clock.now += model.TICKET_LIFE
    with book.redeem(late) as found:
        assert found is None


def test_a_ticket_is_not_used_up_while_accounts_is_away():
    book = Book(Clock())
    ticket = book.issue(session(9e9))[0]
    for status in (503, 401):
        redeeming = book.redeem(ticket)
        assert redeeming.__enter__()
        with pytest.raises(Problem):
            redeeming.gen.throw(Problem(status, "no", "no"))
    with book.redeem(ticket) as found:
        assert found is None


def test_there_is_an_end_to_how_many_there_are():
    book = Book(Clock())
    secrets = [book.begin(session(9e9)) for _ in range(1100)]
    assert len(book.sessions()) == 1000
    assert (book.find(secrets[0]), bool(book.find(secrets[-1]))) == (None, True)
    first = book.issue(session(9e9))[0]
    for _ in range(100):
        book.issue(session(9e9))
    with book.redeem(first) as found:
        assert found is None


def fail(failures, address, error=None):
    with pytest.raises(Problem), failures.attempt(address):
        raise error or Problem(401, "invalid-credentials", "no")


def test_guesses_are_counted_by_address_and_forgotten_after_a_while():
    clock = Clock()
    failures = Failures(clock)
    for _ in range(model.FAILURES):
        fail(failures, "10.0.0.1")
    with pytest.raises(TooManyFailures) as refused, failures.attempt("10.0.0.1"):
        pass
    assert refused.value.headers["Retry-After"] == "300"
    with failures.attempt("10.0.0.2"):
        pass
    clock.now += model.WINDOW
    with failures.attempt("10.0.0.1"):
        pass


def test_what_is_no_guess_does_not_count():
    failures = Failures(Clock())
    for _ in range(3 * model.FAILURES):
        fail(failures, "10.0.0.1", Problem(503, "accounts-unavailable", "no"))
        with failures.attempt("10.0.0.1"):
            pass


def test_guesses_at_the_same_time_count_from_their_beginning():
    failures = Failures(Clock())
    held = [failures.attempt("10.0.0.1") for _ in range(model.FAILURES)]
    for each in held:
        each.__enter__()
    with pytest.raises(TooManyFailures), failures.attempt("10.0.0.1"):
        pass


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"bookstore_console=a", "a"),
        (b"x=1; bookstore_console=a=b; y=2", "a=b"),
        (b"bookstore_console=a; bookstore_console=b", "a"),
        (b"xbookstore_console=a", None),
        (b"bookstore_console", ""),
        (b"\xff\xfe", None),
        (b"x=" + b"1" * 9000 + b"; bookstore_console=a", None),
    ],
)
def test_which_cookie_counts(header, found):
    assert model.cookie_of([(b"host", b"x"), (b"cookie", header)]) == found
