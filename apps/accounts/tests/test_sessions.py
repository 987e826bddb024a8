"""Staying logged in: refresh tokens that are good once, what ends a session, what happens side by side."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

NEW = "another battery staple"

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def digest(token):
    return hashlib.sha256(token.encode()).digest()


def test_a_refresh_gives_new_tokens_once(ana, claims_of, check_problem):
    answer = ana.refresh()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    new = answer.json()
    assert new.keys() == ana.tokens.keys()
    assert new["refresh_token"] != ana.tokens["refresh_token"]
    before, after = claims_of(ana.tokens["access_token"]), claims_of(new["access_token"])
    assert before["jti"] != after["jti"]
    assert before["sub"] == after["sub"]
    check_problem(ana.refresh(), 401, "invalid-refresh-token")


def test_a_token_that_comes_again_ends_its_session_and_no_other(ana, check_problem):
    other = ana.try_login().json()
    chain = [ana.tokens["refresh_token"]]
    for _ in range(3):
        chain.append(ana.refresh(chain[-1]).json()["refresh_token"])
    check_problem(ana.refresh(chain[1]), 401, "invalid-refresh-token")
    for token in chain:
        check_problem(ana.refresh(token), 401, "invalid-refresh-token")
    assert ana.refresh(other["refresh_token"]).status_code == 200


def test_within_the_grace_a_token_that_comes_again_ends_nothing(
    run_accounts, database_url, person, check_problem
):
    with run_accounts(database_url, refresh_grace=60) as client:
        ana = person(client, "ana@example.com").register().log_in()
        second = ana.refresh().json()["refresh_token"]
        check_problem(ana.refresh(), 401, "refresh-superseded")
        assert ana.refresh(second).status_code == 200


def test_of_refreshes_at_once_exactly_one_wins_and_the_session_lives(ana, shared_url, eventually):
    """All arrive before the first is through: the row is held until each of them waits for it."""
    token = ana.tokens["refresh_token"]
    with ThreadPoolExecutor(6) as pool, psycopg.connect(shared_url) as holder:
        holder.execute("SELECT FROM refresh_tokens WHERE digest = %s FOR UPDATE", (digest(token),))
        tries = [pool.submit(ana.refresh) for _ in range(6)]
        with psycopg.connect(shared_url, autocommit=True) as watcher:
            eventually(lambda: watcher.execute(WAITING).fetchone()[0] == 6)
        holder.rollback()
        answers = [each.result() for each in tries]
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5
    slugs = {answer.json()["type"] for answer in answers if answer.status_code == 401}
    assert slugs == {"urn:bookstore:problem:refresh-superseded"}
    [winner] = [answer.json() for answer in answers if answer.status_code == 200]
    assert ana.refresh(winner["refresh_token"]).status_code == 200


def test_a_flood_of_one_token_has_one_winner_at_most(ana):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ana.refresh(), range(24)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 23


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é", "' OR 1=1 --", "a" * 1024])
def test_a_made_up_token_is_refused(shared, check_problem, token):
    answer = shared.post("/auth/refresh", json={"refresh_token": token})
    check_problem(answer, 401, "invalid-refresh-token")


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(ana, check_problem):
    check_problem(ana.refresh(ana.tokens["access_token"]), 401, "invalid-refresh-token")
    headers = {"Authorization": f"Bearer {ana.tokens['refresh_token']}"}
    check_problem(ana.client.get("/auth/me", headers=headers), 401, "invalid-token")


def test_a_session_ends_with_its_time(run_accounts, database_url, person, query, check_problem):
    with run_accounts(database_url, session_life=1000) as client:
        ana = person(client, "ana@example.com").register().log_in()
        left = "SELECT extract(epoch FROM expires_at - now()) FROM sessions"
        assert 990 < query(database_url, left)[0][0] <= 1000
        ana.tokens = ana.refresh().json()
        assert query(database_url, left)[0][0] <= 1000, "a refresh doesn't prolong it"
        query(database_url, "UPDATE sessions SET expires_at = now()")
        check_problem(ana.refresh(), 401, "invalid-refresh-token")


@pytest.mark.parametrize("used", [False, True])
def test_a_logout_ends_its_session_and_no_other(ana, check_problem, used):
    other = ana.try_login().json()["refresh_token"]
    token = ana.tokens["refresh_token"]
    latest = ana.refresh().json()["refresh_token"] if used else token
    for _ in range(2):
        answer = ana.client.post("/auth/logout", json={"refresh_token": token})
        assert (answer.status_code, answer.content) == (204, b"")
    check_problem(ana.refresh(latest), 401, "invalid-refresh-token")
    assert ana.refresh(other).status_code == 200


def test_a_logout_says_nothing_of_a_token_that_is_none(shared):
    assert shared.post("/auth/logout", json={"refresh_token": "made up"}).status_code == 204


def change(person, current, new, **headers):
    body = {"current_password": current, "new_password": new}
    return person.client.post(
        "/auth/password", json=body, headers={**person.bearer, **person.headers, **headers}
    )


def test_a_new_password_replaces_the_old_one_and_ends_all_sessions(ana, check_problem):
    other = ana.try_login().json()["refresh_token"]
    answer = change(ana, ana.password, NEW)
    assert (answer.status_code, answer.content) == (204, b"")
    for token in (ana.tokens["refresh_token"], other):
        check_problem(ana.refresh(token), 401, "invalid-refresh-token")
    check_problem(ana.try_login(), 401, "invalid-credentials")
    ana.password = NEW
    assert ana.refresh(ana.log_in().tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "status"),
    [("wrong", NEW, 403), (None, "short", 400), (None, "a" * 129, 400), (None, "null\0null", 400)],
)
def test_a_password_stays_when_the_change_is_refused(ana, check_problem, current, new, status):
    check_problem(change(ana, current or ana.password, new), status)
    assert ana.refresh().status_code == 200
    assert ana.try_login().status_code == 200


def test_guessing_the_current_password_is_limited_like_a_login(ana, check_problem):
    for _ in range(5):
        check_problem(change(ana, "wrong", NEW), 403, "wrong-password")
    check_problem(change(ana, ana.password, NEW), 429, "too-many-failures")
    check_problem(ana.try_login(), 429, "too-many-failures")


def test_of_two_password_changes_at_once_one_wins(ana):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: change(ana, ana.password, f"{NEW} {number}"), range(4)))
    assert sorted(answer.status_code for answer in answers) == [204, 403, 403, 403]
    [number] = [number for number, answer in enumerate(answers) if answer.status_code == 204]
    assert ana.try_login(f"{NEW} {number}").status_code == 200


def test_a_login_beside_a_password_change_leaves_no_session_of_the_old_one(ana, shared_url, eventually):
    """The change has the user's row when the login, with the old password checked, comes to its session."""
    with ThreadPoolExecutor(1) as pool, psycopg.connect(shared_url) as holder:
        holder.execute("UPDATE users SET password_hash = 'x' WHERE email = %s", (ana.email,))
        login = pool.submit(ana.try_login)
        with psycopg.connect(shared_url, autocommit=True) as watcher:
            eventually(lambda: watcher.execute(WAITING).fetchone()[0] == 1)
        holder.commit()
        assert login.result().status_code == 401


def test_the_database_holds_nothing_that_logs_anybody_in(ana, shared_url, query):
    """All that is kept of passwords and tokens are an argon2id hash and digests."""
    successor = ana.refresh().json()["refresh_token"]
    tables = ("users", "sessions", "refresh_tokens", "login_failures")
    dump = "SELECT string_agg(t::text, ' ') FROM {} t"
    everything = str([query(shared_url, dump.format(table)) for table in tables])
    for secret in (ana.password, ana.tokens["refresh_token"], successor, ana.tokens["access_token"]):
        assert secret not in everything
        assert secret.encode().hex() not in everything
    [(kept,)] = query(shared_url, "SELECT password_hash FROM users WHERE email = %s", ana.email)
    assert kept.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    digests = [row[0] for row in query(shared_url, "SELECT digest FROM refresh_tokens")]
    assert digest(successor) in digests


def test_a_password_is_hashed_anew_when_the_parameters_change(run_accounts, database_url, person, query):
    kept = "SELECT password_hash FROM users"
    with run_accounts(database_url) as client:
        ana = person(client, "ana@example.com").register().log_in()
    with run_accounts(database_url, argon2_memory=16, argon2_passes=2) as client:
        again = person(client, "ana@example.com")
        assert again.try_login("wrong password").status_code == 401
        assert query(database_url, kept)[0][0].startswith("$argon2id$v=19$m=8,t=1,p=1$")
        again.log_in()
        assert query(database_url, kept)[0][0].startswith("$argon2id$v=19$m=16,t=2,p=1$")
        assert again.refresh(ana.tokens["refresh_token"]).status_code == 200
        again.log_in()


@pytest.fixture
def sweeping_fast(monkeypatch):
    monkeypatch.setattr("bookstore.accounts.sessions.desk._SWEEP", 0.02)


@pytest.mark.usefixtures("sweeping_fast")
def test_what_counts_no_more_is_swept(run_accounts, database_url, person, query, eventually):
    with run_accounts(database_url) as client:
        ana = person(client, "ana@example.com").register().log_in()
        ana.log_in()
        ana.try_login("wrong password")
        ana.refresh()
        query(database_url, "UPDATE login_failures SET at = at - interval '301 seconds'")
        query(
            database_url, "UPDATE sessions SET expires_at = now() WHERE id = (SELECT min(id) FROM sessions)"
        )
        counts = (
            "SELECT (SELECT count(*) FROM login_failures), (SELECT count(*) FROM sessions),"
            " (SELECT count(*) FROM refresh_tokens)"
        )
        eventually(lambda: query(database_url, counts) == [(0, 1, 2)])


@pytest.mark.parametrize("way", ["json", "data"])
@pytest.mark.parametrize("role", ["ops", "customer"])
def test_a_scope_is_asked_for_and_ends_with_its_token(house, person, claims_of, role, way):
    with house.run() as client:
        someone = person(client, "ana@example.com").register()
        if role == "ops":
            house.query("UPDATE users SET role = 'ops', customer_id = NULL")
        name = "email" if way == "json" else "username"
        asked = {name: someone.email, "password": someone.password, "scope": "load admin"}
        answer = client.post("/auth/login", **{way: asked})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        assert claims_of(tokens["access_token"])["scope"] == {"ops": "ops load"}.get(role, role)
        someone.tokens = tokens
        again = someone.refresh().json()
        assert claims_of(again["access_token"])["scope"] == role
