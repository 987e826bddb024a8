"""The command line: people who work here, and keys that are rotated while the service runs."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta

import httpx
import jwt
import pytest

from bookstore.accounts import commands
from bookstore.accounts.keys.model import Safe
from bookstore.accounts.keys.store import KeyStore
from bookstore.service.database import Database

CHEAP = {"ARGON2_MEMORY": "8", "ARGON2_PASSES": "1"}
SECRET = "a secret of at least thirty-two characters"
PASSWORD = "typed in by somebody"


@pytest.fixture
def accounts(database_url, monkeypatch, capsys, tmp_path):
    """Run the command line in this process; gives the exit code, what it said, and its complaints."""
    monkeypatch.chdir(tmp_path)  # where no .env lies
    for name, value in {"DATABASE_URL": database_url, **CHEAP}.items():
        monkeypatch.setenv(name, value)

    def run(*words, typed=None, **settings):
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            if typed is not None:
                patch.setattr("sys.stdin", typed)
            try:
                code = commands.main(words)
            except SystemExit as left:
                code = left.code
        return code, *capsys.readouterr()

    return run


class Terminal:
    """Standard input, with somebody at it or without."""

    def __init__(self, text="", *, attended=False):
        self.text = text
        self.attended = attended

    def isatty(self):
        return self.attended

    def readline(self):
        return self.text


CREATE = ("create-user", "--email", "Ops@Bookstore.local")


@pytest.mark.parametrize("role", ["ops", "staff"])
def test_somebody_who_works_here(accounts, run_accounts, database_url, person, role):
    code, said, complained = accounts(
        *CREATE, "--role", role, "--password-stdin", typed=Terminal(f"{PASSWORD}\n")
    )
    assert (code, said, complained) == (0, f"ops@bookstore.local may log in as {role}\n", "")
    with run_accounts(database_url) as client:
        member = person(client, "ops@bookstore.local", PASSWORD).log_in()
        me = member.get("/auth/me").json()
        assert (me["roles"], me["customer_id"], me["name"]) == ([role], None, "ops")
        assert member.get("/v1/customers").status_code == 200


def new(email="ops@bookstore.local", **other):
    return json.dumps({"email": email, "role": "ops", "password": PASSWORD, **other})


def test_several_are_made_at_once_and_whoever_is_there_stays(accounts, run_accounts, database_url, person):
    first, again = new(), new(password="another one altogether")
    others = new("Staff@Bookstore.local", role="staff")
    assert accounts("create-users", typed=[first]) == (0, "ops@bookstore.local may log in as ops\n", "")
    code, said, complained = accounts("create-users", typed=[again, others])
    assert (code, complained) == (0, "")
    assert said == "ops@bookstore.local is there already\nstaff@bookstore.local may log in as staff\n"
    with run_accounts(database_url) as client:
        person(client, "ops@bookstore.local", PASSWORD).log_in()
        assert person(client, "staff@bookstore.local", PASSWORD).log_in().get("/auth/me").json()["roles"] == [
            "staff"
        ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (new("nobody"), "must be an e-mail address"),
        (new(role="customer"), "Invalid enum value 'customer'"),
        (new(password="short"), "8 to 128 characters"),
        (new(name="more"), "unknown field `name`"),
        ("[]", "Expected `object`"),
        ("nothing", "JSON is malformed"),
    ],
)
def test_a_line_that_cannot_be_used_makes_nobody_of_those_after_it(accounts, line, said):
    code, made, complained = accounts("create-users", typed=[line, new("late@x.example")])
    assert (code, made) == (1, "")
    assert said in complained
    assert PASSWORD not in complained
    assert accounts("create-users", typed=[new("late@x.example")])[1] == "late@x.example may log in as ops\n"


def test_nobody_is_made_of_nothing(accounts):
    assert accounts("create-users", typed=[]) == (0, "", "")


@pytest.mark.parametrize("words", [("--generate",), ()])
def test_a_password_is_made_up_and_shown_once(accounts, run_accounts, database_url, person, words):
    code, said, _ = accounts(*CREATE, "--role", "ops", *words, typed=Terminal())
    assert code == 0
    password = said.splitlines()[1].removeprefix("password: ")
    assert len(password) >= 20
    with run_accounts(database_url) as client:
        person(client, "ops@bookstore.local", password).log_in()


@pytest.mark.parametrize(
    ("typed", "code"),
    [([PASSWORD, PASSWORD], 0), ([PASSWORD, "other"], 1), (["short", "short"], 1), ([""], 0)],
)
def test_a_password_is_asked_for_twice(accounts, monkeypatch, typed, code):
    answers = iter(typed)
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    found, said, complained = accounts(*CREATE, "--role", "ops", typed=Terminal(attended=True))
    assert found == code
    assert next(answers, None) is None
    assert PASSWORD not in said + complained
    assert ("password: " in said) is (typed == [""])


@pytest.mark.parametrize(
    "case",
    [
        (("--email", "ops", "--role", "ops"), PASSWORD, 1, "must be an e-mail address"),
        (("--email", "a@x.example", "--role", "ops"), "short", 1, "8 to 128 characters"),
        (("--email", "a@x.example", "--role", "ops"), "nul\0nul\0nul", 1, "8 to 128 characters"),
        (("--email", "a@x.example", "--role", "ops"), "x" * 129, 1, "8 to 128 characters"),
        (("--email", "a@x.example", "--role", "customer"), PASSWORD, 2, "invalid choice"),
        (("--email", "a@x.example"), PASSWORD, 2, "--role"),
        (("--role", "ops"), PASSWORD, 2, "--email"),
        (("--email", "a@x.example", "--role", "ops", "--password", "x"), PASSWORD, 2, "unrecognized"),
    ],
)
def test_what_cannot_be_done_is_said(accounts, house, case):
    words, typed, code, says = case
    found, _, complained = accounts("create-user", *words, "--password-stdin", typed=Terminal(typed))
    assert (found, says in complained) == (code, True), complained
    assert typed not in complained
    assert house.query("SELECT count(*) FROM users") == [(0,)]


def test_somebody_who_is_there_already(accounts, database_url, query):
    def create(*words):
        return accounts(*CREATE, "--role", "ops", "--password-stdin", *words, typed=Terminal(PASSWORD))[:2]

    assert create()[0] == 0
    assert create()[0] == 1
    assert create("--if-missing") == (0, "ops@bookstore.local is there already\n")
    assert query(database_url, "SELECT count(*) FROM users") == [(1,)]


def rows(said):
    head, *lines = said.splitlines()
    assert head.split()[:3] == ["KID", "ALGORITHM", "STATE"]
    return [line.split()[2] for line in lines]


def kids(client):
    return [key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]]


def test_keys_are_rotated_while_the_service_runs(accounts, house, person, eventually):
    """Published first, then used; and the old one goes when its last token has expired."""
    sql = "UPDATE signing_keys SET signs_from = signs_from - {0}, published_until = published_until - {0}"
    with house.run() as client:
        ana = person(client, "ana@example.com").register().log_in()
        [old] = kids(client)
        code, said, _ = accounts("keys", "rotate")
        assert code == 0
        new = said.split()[0]
        eventually(lambda: kids(client) == [new, old])
        assert rows(accounts("keys", "list")[1]) == ["next", "signing"]
        assert signer(ana.log_in()) == old
        assert accounts("keys", "rotate")[0] == 1, "a third key would be one too many"
        assert len(kids(client)) == 2

        house.query(sql.format("interval '10 minutes'"))
        eventually(lambda: signer(ana.log_in()) == new)
        assert rows(accounts("keys", "list")[1]) == ["signing", "old"]
        assert ana.get("/auth/me").status_code == 200

        house.query(sql.format("interval '65 minutes'"))
        eventually(lambda: kids(client) == [new])
        assert rows(accounts("keys", "list")[1]) == ["signing", "gone"]

        assert accounts("keys", "rotate")[0] == 0
        assert rows(accounts("keys", "list")[1]) == ["next", "signing"], "what is gone is removed"


def signer(person):
    return jwt.get_unverified_header(person.tokens["access_token"])["kid"]


def test_a_token_of_the_old_key_is_good_until_the_key_is_gone(accounts, house, person, eventually):
    with house.run() as client:
        ana = person(client, "ana@example.com").register().log_in()
        accounts("keys", "rotate", KEY_LEAD="0")
        eventually(lambda: len(kids(client)) == 2)
        assert ana.get("/auth/me").status_code == 200
        house.query("UPDATE signing_keys SET published_until = now() WHERE published_until > now()")
        eventually(lambda: ana.get("/auth/me").status_code == 401)
        assert ana.log_in().get("/auth/me").status_code == 200


def test_a_leaked_key_is_disowned_at_once(accounts, house, person, eventually):
    with house.run() as client:
        ana = person(client, "ana@example.com").register().log_in()
        assert accounts("keys", "rotate")[0] == 0
        code, said, _ = accounts("keys", "rotate", "--leaked")
        assert code == 0
        eventually(lambda: kids(client) == [said.split()[0]])
        assert ana.get("/auth/me").status_code == 401
        ana.tokens = ana.refresh().json()
        assert ana.get("/auth/me").status_code == 200


def test_keys_are_made_before_the_service_has_ever_run_and_closed_if_a_secret_is_given(accounts):
    code, said, _ = accounts("keys", "rotate", ACCOUNTS_KEY_SECRET=SECRET, SIGNING_ALGORITHM="ES256")
    assert code == 0
    listed = accounts("keys", "list")[1]
    assert rows(listed) == ["next", "signing"]
    assert said.split()[0] in listed
    assert listed.count("encrypted") == 2
    assert listed.count("ES256") == 2


async def test_a_rotation_that_dies_before_its_commit_has_changed_nothing(
    accounts, database_url, monkeypatch
):
    assert accounts.__name__ == "run"
    async with Database(database_url) as database:
        store, safe = KeyStore(database), Safe("")
        await store.ensure("EdDSA", safe)
        before = await store.all()

        async def die(*_):
            raise ConnectionError("died")

        monkeypatch.setattr("bookstore.accounts.keys.store._insert", die)
        with pytest.raises(ConnectionError):
            await store.rotate("EdDSA", safe, lead=timedelta(0))
        assert await store.all() == before


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        ({"DATABASE_URL": "nonsense"}, 2, "DATABASE_URL: must look like"),
        ({"ACCOUNTS_KEY_SECRET": "short"}, 2, "ACCOUNTS_KEY_SECRET"),
        ({"TRUSTED_PROXIES": "everybody"}, 2, "TRUSTED_PROXIES"),
        ({"ACCOUNTS_KEY_SECERT": "x"}, 2, "did you mean ACCOUNTS_KEY_SECRET?"),
        ({"ACCESS_TOKEN_LIFE": "86400"}, 2, "ACCESS_TOKEN_LIFE"),
        ({"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:1/none"}, 4, "not answering"),
    ],
)
def test_settings_that_do_not_fit_are_said_without_their_values(accounts, monkeypatch, settings, code, says):
    monkeypatch.setattr(commands, "_PATIENCE", 0.5)
    found, _, complained = accounts("keys", "list", **settings)
    assert (found, says in complained) == (code, True), complained
    for value in settings.values():
        assert len(value) < 3 or value not in complained


def test_the_program_itself(database_url):
    """As people start it: the words on its command line reach the commands."""
    environment = {**os.environ, **CHEAP, "DATABASE_URL": database_url}
    ran = subprocess.run(
        [sys.executable, "-m", "bookstore.accounts", "keys", "list"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("KID")


def test_the_program_serves_and_leaves_in_order(database_url, eventually):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"DATABASE_URL": database_url, "PORT": str(port), "DRAIN_ANNOUNCE": "0", **CHEAP}
    process = subprocess.Popen(
        [sys.executable, "-m", "bookstore.accounts"], env={**os.environ, **given}, stdout=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

            def ready():
                assert process.poll() is None
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/health/ready").is_success
                return False

            eventually(ready)
            card = client.get("/whoami").json()
            assert (card["service"], card["pid"]) == ("accounts", process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("role", "scope"), [("ops", "ops load"), ("staff", "staff")])
def test_a_token_from_the_command_line(accounts, house, claims_of, role, scope):
    """Only ops are let off the limits, and a wrong password counts here as it does over HTTP."""
    accounts(*CREATE, "--role", role, "--password-stdin", typed=Terminal(f"{PASSWORD}\n"))
    ask = ("token", "--email", "ops@bookstore.local", "--password-stdin", "--scope", "load admin")
    with house.run() as client:
        code, said, complained = accounts(*ask, typed=Terminal(f"{PASSWORD}\n"))
        assert (code, complained) == (0, "")
        assert claims_of(said.strip())["scope"] == scope
        bearer = {"Authorization": f"Bearer {said.strip()}"}
        assert client.get("/auth/me", headers=bearer).json()["roles"] == [role]
    tries = [accounts(*ask, typed=Terminal("a wrong one\n")) for _ in range(6)]
    assert {code for code, _, _ in tries} == {1}
    assert "is wrong" in tries[0][2]
    assert "too many" in tries[5][2]
