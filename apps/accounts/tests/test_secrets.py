"""What must not get out: secrets in logs and answers; what must hold: bounded work, and outages."""

import asyncio
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookstore.accounts.people import passwords as module
from bookstore.accounts.people.passwords import MOST_WAITING, Passwords
from bookstore.service import logs
from bookstore.service.problem import Problem

PASSWORD = "hunter2 hunter2 hunter2"
NEW = "a password nobody has logged"
KEY_SECRET = "a secret of at least thirty-two characters"


@pytest.fixture
def logged(capfd):
    """All logs as a service writes them, at their most talkative; gives what was written."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    logs.configure("accounts", "test", "debug")
    yield lambda: "".join(capfd.readouterr())
    root.handlers[:] = before[1]
    root.setLevel(before[0])
    logging.captureWarnings(capture=False)


def test_no_log_and_no_answer_holds_a_secret(run_accounts, database_url, person, logged, query):
    """All is done once, well and badly, with all logs on; then the logs are searched for what was used."""
    answers = []
    with run_accounts(
        database_url, access_log=True, accounts_key_secret=KEY_SECRET, log_level="debug"
    ) as client:
        client.event_hooks["response"] = [lambda answer: answers.append((answer.read(), str(answer.headers)))]
        ana = person(client, "secret.reader@example.com", PASSWORD).register().log_in()
        first = ana.tokens
        ana.try_login("wrong " + PASSWORD)
        second = ana.refresh().json()
        ana.refresh()
        third = ana.log_in().tokens
        body = {"current_password": PASSWORD, "new_password": NEW}
        client.post("/auth/password", json={**body, "new_password": NEW * 9}, headers=ana.bearer)
        client.post("/auth/password", json=body, headers=ana.bearer)
        client.post("/auth/logout", json={"refresh_token": third["refresh_token"]})
        client.post("/auth/login", content=b'{"email": "' + PASSWORD.encode())
        client.post("/auth/login", json={"email": PASSWORD, "password": PASSWORD})
        client.post("/auth/register", json={"email": PASSWORD, "password": PASSWORD, "name": "A"})
        client.get("/auth/me", headers={"Authorization": f"Bearer {third['access_token'][:-9]}"})
        client.get("/auth/me", headers={"Authorization": f"Basic {PASSWORD}"})
        query(database_url, "REVOKE SELECT ON users FROM CURRENT_USER")
        assert ana.try_login().status_code == 500
        query(database_url, "GRANT SELECT ON users TO CURRENT_USER")
    text = logged()
    assert "unhandled error" in text, "the logs were caught"
    assert "a refresh token came twice" in text
    assert text.count('"logger":"access"') > 10
    hashes = [row[0] for row in query(database_url, "SELECT password_hash FROM users")]
    tokens = [each[kind] for each in (first, second, third) for kind in ("access_token", "refresh_token")]
    for secret in (PASSWORD, NEW, KEY_SECRET, *hashes, *tokens):
        assert secret not in text
        assert secret[-20:] not in text
    for content, headers in answers:
        for secret in (PASSWORD, NEW, KEY_SECRET, *hashes):
            assert secret not in content.decode()
            assert secret not in headers


def test_settings_do_not_show_their_secrets_in_health_or_metrics(shared):
    for path in ("/health", "/metrics", "/whoami", "/openapi.json"):
        assert "app_user" not in shared.get(path).text


def test_the_openapi_document_names_every_operation(shared):
    document = shared.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith(("/auth", "/v1", "/.well"))
    }
    assert operations == {
        "POST /auth/register", "POST /auth/login", "GET /auth/me", "POST /auth/refresh", "POST /auth/logout",
        "POST /auth/password", "GET /.well-known/jwks.json", "GET /v1/customers", "POST /v1/customers",
        "GET /v1/customers/{customer_id}", "PUT /v1/customers/{customer_id}",
        "DELETE /v1/customers/{customer_id}",
    }  # fmt: skip
    login = document["paths"]["/auth/login"]["post"]["requestBody"]["content"]
    assert login.keys() == {"application/json", "application/x-www-form-urlencoded"}


async def test_passwords_are_hashed_off_the_loop_and_only_so_many_wait():
    async with Passwords(memory=8, passes=1, threads=1) as passwords:
        kept = await passwords.hash(PASSWORD)
        assert await passwords.fits(PASSWORD, kept)
        assert not await passwords.fits(PASSWORD + "!", kept)
        assert not await passwords.fits(PASSWORD, None)
        assert not await passwords.fits(PASSWORD, "$argon2id$spoilt")

        gate = threading.Event()
        running = [asyncio.ensure_future(passwords._in_thread(gate.wait)) for _ in range(1 + MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await passwords.fits(PASSWORD, kept)
        assert (refused.value.status, refused.value.slug) == (503, "busy")
        running[0].cancel()
        with pytest.raises(Problem):
            await passwords.hash(PASSWORD)
        gate.set()
        await asyncio.wait(running)
        assert await passwords.fits(PASSWORD, kept)


async def test_a_password_whose_turn_does_not_come_is_told_so_and_never_hashed(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    async with Passwords(memory=8, passes=1, threads=1) as passwords:
        gate, hashed = threading.Event(), []
        first = asyncio.ensure_future(passwords._in_thread(gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await passwords._in_thread(lambda: hashed.append("late"))
        assert (refused.value.status, refused.value.slug) == (503, "busy")
        assert refused.value.headers["Retry-After"]
        # Who leaves the line leaves nothing in it.
        leaver = asyncio.ensure_future(passwords._in_thread(lambda: hashed.append("left")))
        await asyncio.sleep(0)
        leaver.cancel()
        gate.set()
        assert await first
        await passwords._in_thread(lambda: hashed.append("next"))
        assert hashed == ["next"]


@pytest.mark.quiet
@pytest.mark.timeout(60)
def test_people_who_log_in_do_not_hold_up_those_who_are(run_accounts, database_url, person):
    """A hash here takes a good while; meanwhile others read their record."""
    with run_accounts(database_url, argon2_memory=65536, argon2_passes=2, hash_threads=1) as client:
        ana = person(client, "ana@example.com").register().log_in()
        started = time.perf_counter()
        ana.try_login()
        one_login = time.perf_counter() - started
        with ThreadPoolExecutor(2) as pool:  # one is hashed, one waits: no turn is long in coming
            logins = [pool.submit(ana.try_login) for _ in range(6)]
            read = 0
            while not all(each.done() for each in logins):
                assert ana.get("/auth/me").status_code == 200
                read += 1
        assert one_login > 0.03
        assert read > 6, "between two logins more than one reader got through"
        assert {each.result().status_code for each in logins} == {200}


WAYS = [
    ("POST", "/auth/login", {"email": "ana@example.com", "password": PASSWORD}),
    ("POST", "/auth/register", {"email": "b@example.com", "password": PASSWORD, "name": "B"}),
    ("POST", "/auth/refresh", {"refresh_token": "x"}),
    ("POST", "/auth/logout", {"refresh_token": "x"}),
    ("GET", "/auth/me", None),
    ("GET", "/v1/customers", None),
    ("POST", "/v1/customers", {"name": "A", "email": "c@example.com"}),
    ("DELETE", "/v1/customers/1", None),
]


@pytest.fixture
def broken(run_accounts, postgres_server, provisioned):
    url = provisioned(postgres_server)
    return lambda: run_accounts(url, hurried=True), postgres_server


@pytest.mark.timeout(60)
@pytest.mark.parametrize("outage", ["kill", "freeze"])
def test_without_the_database_all_is_503_soon_and_comes_back_by_itself(
    broken, person, check_problem, eventually, outage
):
    run, postgres_server = broken
    with run() as client:
        ana = person(client, "ana@example.com", PASSWORD).register().log_in()
        getattr(postgres_server, outage)()
        assert client.get("/health/live").status_code == 200
        for method, path, body in WAYS:
            headers = ana.bearer if path == "/auth/me" else {}
            started = time.perf_counter()
            answer = client.request(method, path, json=body, headers=headers)
            took = time.perf_counter() - started
            check_problem(answer, 503, "database-unavailable")
            assert took < (1.0 if outage == "kill" else 2.0), (path, took)
        assert client.get("/health/ready").status_code == 503
        assert len(client.get("/.well-known/jwks.json").json()["keys"]) == 1
        (postgres_server.start if outage == "kill" else postgres_server.resume)()
        eventually(lambda: ana.try_login().status_code == 200)
        eventually(lambda: client.get("/health/ready").status_code == 200)


def test_the_log_lines_are_json(run_accounts, database_url, logged):
    with run_accounts(database_url, access_log=True) as client:
        client.get("/auth/me")
    lines = [line for line in logged().splitlines() if line.startswith("{")]
    assert any(json.loads(line)["message"] == "request" for line in lines)
