"""What people read: logs, tables, the doctor."""

import pytest

from bookstore.lab.failures import Exit, LabError
from bookstore.lab.system import logs
from bookstore.lab.system.doctor import examine
from bookstore.lab.system.folder import StateFolder
from bookstore.lab.system.topology import SYSTEM, Topology

APP = (
    '{"timestamp":"2026-01-01T10:00:01.500Z","level":"info","message":"GET","status":200,"path":"/v1 books"}'
)
POSTGRES = "2026-01-01 10:00:01.250 UTC [42] LOG:  database system is ready"
REDIS = "42:M 01 Jan 2026 10:00:01.000 * Ready to accept connections"


@pytest.fixture
def folder(tmp_path):
    made = StateFolder(tmp_path / "state")
    made.open()
    made.log("books-1").write_text(f"{APP}\nTraceback: something\n")
    made.log("postgres").write_text(f"{POSTGRES}\n")
    made.log("redis").write_text(f"{REDIS}\n{{broken json\n")
    return made


def test_all_forms_come_in_the_order_of_their_times(folder):
    lines = [str(entry) for entry in logs.recent(logs.choose(folder, None), 10)]
    assert lines == [
        "10:00:01.000  redis        info     Ready to accept connections",
        "              redis                 {broken json",
        "10:00:01.250  postgres     info     database system is ready",
        '10:00:01.500  books-1      info     GET  status=200  path="/v1 books"',
        "              books-1               Traceback: something",
    ]
    assert logs.recent(logs.choose(folder, "books"), 10)[0].raw == APP


def test_what_a_stranger_asked_for_is_no_command_and_no_line(folder):
    """A path may hold what a terminal obeys, and what text takes for the end of a line."""
    raw = '{"timestamp":"2026-01-01T10:00:02Z","message":"GET","path":"/\\u001b[2J\\nfake\\u2028\u2028\x85"}'
    with folder.log("books-1").open("a") as file:
        file.write(f"{raw}\n")
    follower = logs.Follower(lambda: logs.choose(folder, None))
    with folder.log("redis").open("a") as file:
        file.write(f"{raw}\n")
    shown = r"GET  path=/\x1b[2J\x0afake\u2028\u2028\x85"
    for entry in (logs.recent(logs.choose(folder, "books"), 1)[0], *follower.new()):
        assert (entry.raw, str(entry).endswith(shown)) == (raw, True)
    assert logs.last_lines(folder.log("redis"), 1)[0].endswith(shown)


def test_none_of_the_last_lines_are_none(folder):
    """As with `tail -n 0 -f`: what is new, and nothing of before."""
    assert logs.recent(logs.choose(folder, None), 0) == []
    assert len(logs.recent(logs.choose(folder, None), 99)) == 5


def test_a_log_that_isnt_there_names_those_that_are(folder):
    with pytest.raises(LabError) as caught:
        logs.choose(folder, "bokks")
    assert caught.value.code == Exit.USAGE
    assert "books-1, postgres, redis" in caught.value.advice


def test_following_sees_new_lines_new_logs_and_logs_begun_anew(folder):
    def look():
        return [(entry.instance, entry.text) for entry in follower.new()]

    follower = logs.Follower(lambda: logs.choose(folder, None))
    assert look() == []
    with folder.log("books-1").open("a") as file:
        file.write("one\ntwo\nhal")
    assert look() == [("books-1", "one"), ("books-1", "two")]
    with folder.log("books-1").open("a") as file:
        file.write("f\n")
    assert look() == [("books-1", "half")]
    folder.log("books-1").write_text("anew\n")
    folder.log("orders-1").write_text("from its beginning\n")
    assert look() == [("books-1", "anew"), ("orders-1", "from its beginning")]
    assert look() == []


def test_a_log_that_grew_too_long_is_begun_anew(folder):
    path = folder.log("books-1")
    before = path.read_text()
    assert not logs.shorten(path, limit=1000)
    assert logs.shorten(path, limit=10)
    assert path.read_text() == ""
    assert path.with_name("books-1.log.1").read_text() == before


def test_the_command_shows_logs(system):
    system.add("books")
    system.up()
    assert "books-1      info     serving" in system.run("logs", "books").stdout
    assert '"message": "serving"' in system.run("logs", "--json", "books-1").stdout
    assert "supervisor" in system.run("logs").stdout


def test_the_doctor_looks_at_everything(folder):
    found = list(examine(folder, Topology(services=SYSTEM.services[:2], databases={})))
    assert not [finding for finding in found if finding.verdict == "bad"]
    text = "\n".join(finding.text for finding in found)
    for word in (
        "Python",
        "PostgreSQL",
        "Redis",
        "state folder",
        "disk",
        "memory",
        "open files",
        "nothing runs",
    ):
        assert word in text


def test_the_doctor_asks_stores_of_ones_own(folder, redis_server):
    """In the place of those that come along, whose programs and ports nobody needs then."""
    caller = {"REDIS_URL": redis_server.url, "DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x"}
    topology = Topology(services=SYSTEM.services[:2], databases={})
    found = {finding.text: finding.verdict for finding in examine(folder, topology, caller)}
    assert found[f"REDIS_URL: redis://127.0.0.1:{redis_server.port} answers, and is used"] == "ok"
    assert found["Nobody answers as DATABASE_URL says, at postgresql://127.0.0.1:1."] == "bad"
    text = "\n".join(found)
    assert not any(word in text for word in ("hidden", redis_server.store.password, "runs as", "busy"))
