"""Those who work here: made once by accounts' own command, which people can run as well."""

import json

import pytest

from bookstore.lab.failures import Exit

MAKE = ["create-users"]
OPS, STAFF = "ops@bookstore.local", "staff@bookstore.local"


@pytest.fixture
def staffed(system):
    """A system with an accounts service and two who work there."""
    system.add("accounts")
    system.members = {OPS: "ops", STAFF: "staff"}
    return system


def told(system):
    """What accounts was told on its standard input, start by start."""
    return [
        json.loads(line) for words, typed, _ in system.asked for line in typed.splitlines() if words == MAKE
    ]


def emails(system):
    return sorted(member["email"] for member in told(system))


def test_they_are_made_once_with_passwords_that_nobody_sees(staffed):
    out = staffed.up()
    assert out.count("did create-users") == 1
    passwords = staffed.credentials["accounts"]
    assert set(passwords) == {OPS, STAFF}
    assert told(staffed) == [
        {"email": email, "role": role, "password": passwords[email]}
        for email, role in staffed.members.items()
    ]
    logs = "".join(path.read_text() for path in staffed.folder.logs.iterdir())
    record = staffed.folder.record.read_text()
    for password in [*passwords.values(), *staffed.credentials["passwords"].values()]:
        assert len(password) >= 32
        assert password not in out + logs + record
    assert staffed.folder.credentials.stat().st_mode & 0o777 == 0o600
    assert staffed.run("down").returncode == 0

    staffed.up()
    assert emails(staffed) == [OPS, STAFF]
    assert staffed.credentials["accounts"] == passwords


def test_a_start_that_died_half_way_is_made_good_by_the_next(staffed):
    staffed.up()
    staffed.run("down")
    known = staffed.credentials
    staffed.folder.credentials.write_text(json.dumps({**known, "accounts_made": [OPS]}))
    staffed.up()
    assert emails(staffed) == [OPS, STAFF, STAFF]
    assert staffed.credentials == known


def test_a_folder_of_an_older_version_gets_them_too(staffed):
    staffed.folder.open()
    staffed.folder.credentials.write_text('{"passwords": {"services": "kept"}}')
    staffed.up()
    assert emails(staffed) == [OPS, STAFF]
    assert staffed.credentials["passwords"]["services"] == "kept"


def test_what_accounts_refuses_ends_the_start(system):
    system.add("accounts", "denies")
    system.members = {OPS: "ops"}
    result = system.run("up", "--detach")
    assert result.returncode == Exit.SERVICE
    assert f"{OPS} couldn't be made" in result.stderr
    assert "did create-user" in result.stderr
    assert system.supervisor is None
    assert system.credentials["accounts_made"] == []


def test_a_new_database_gets_them_anew_and_commands_run_on_it_running_or_not(staffed):
    """Over a real PostgreSQL, which the command starts for itself when nothing runs."""
    staffed.add_store("postgres")
    staffed.databases = {"accounts_db": "accounts_user"}
    staffed.services[0]["settings"]["DATABASE_URL"] = "{accounts_db}"
    staffed.folder.open()
    staffed.folder.credentials.write_text(json.dumps({"passwords": {}, "accounts_made": [OPS, STAFF]}))
    staffed.up()
    assert emails(staffed) == [OPS, STAFF]

    def keys():
        result = staffed.run("accounts", "keys", "--all", input="typed")
        assert (result.returncode, result.stdout) == (0, "did keys\n")
        return staffed.asked[-1]

    password = staffed.credentials["passwords"]["accounts_user"]
    words, typed, database = keys()
    assert (words, typed) == (["keys", "--all"], "typed")
    assert database.startswith(f"postgresql://accounts_user:{password}@127.0.0.1:")
    assert staffed.status()["state"] == "running"

    staffed.run("down")
    assert keys()[2].startswith(f"postgresql://accounts_user:{password}@127.0.0.1:")
    assert staffed.status()["state"] == "stopped"
    assert staffed.supervisor is None
    assert [words[0] for words, *_ in staffed.asked] == [*MAKE, "keys", "keys"]


def test_a_command_fails_as_accounts_does(system):
    system.add_store("postgres")
    system.add("accounts", "denies")
    system.up()
    assert system.run("accounts", "keys").returncode == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [((), Exit.USAGE, "needs a command"), (("keys", "list"), Exit.NOT_RUNNING, "nothing in")],
)
def test_what_cannot_be_run_is_said(system, words, code, says):
    result = system.run("accounts", *words)
    assert (result.returncode, says in result.stderr) == (code, True), result.stderr


def test_who_could_not_be_made_at_once_is_when_accounts_is_there(staffed):
    staffed.services[0]["settings"]["MODE"] = "late"
    staffed.up()
    assert emails(staffed) == [OPS, OPS, STAFF, STAFF]
    assert staffed.credentials["accounts_made"] == [OPS, STAFF]
