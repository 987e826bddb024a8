"""What survives: a kill, a torn line, a full disk; and what keeps a supplier from starting."""

import asyncio
import json
import signal
import socket
import threading
from pathlib import Path

import pytest

from bookstore.service.settings import SettingsError
from bookstore.supplier.journal import Journal
from bookstore.supplier.tally import Tally


def test_effects_survive_a_kill_in_the_midst_of_work(start, tmp_path, of, eventually):
    """Who was answered finds the same verdict and counts in the next process; the mode alone is forgotten."""
    file = str(tmp_path / "made" / "effects.jsonl")
    process = start(EFFECTS_FILE=file)
    supplier = process.ready()
    supplier.mode("error", rate=0)
    answered = []

    def call(first):
        client = supplier.connect()
        for number in range(first, first + 100_000):
            reply = client.send(of(number)).reply()
            if reply.status != 200:
                return
            answered.append(number)

    threads = [threading.Thread(target=call, args=(100_000 * each + 1,)) for each in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(answered) >= 400)
    process.popen.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    again = start(EFFECTS_FILE=file).ready()
    assert again.control.get("/get_failure_mode").json()["mode"] == "normal"
    kept = again.control.get("/effects").json()["orders"]
    assert len(answered) <= len(kept) <= len(answered) + 4
    for number in answered:
        assert (kept[str(number)]["effects"], kept[str(number)]["calls"]) == (1, 1)
    assert again.ask(answered[0]).headers["idempotent-replay"] == "true"
    assert again.count(answered[0]) == (1, 2)
    assert Path(file).stat().st_mode & 0o777 == 0o600


LINES = '["call","1",1.5]\n["effect","1","1","validated",null]\n["call","2",2.5]\n'


def test_a_line_that_was_never_finished_is_cut_off(start, tmp_path):
    file = tmp_path / "effects"
    file.write_text(LINES + '["effect","2","2","vali')
    supplier = start(EFFECTS_FILE=str(file)).ready()
    assert (supplier.count(1), supplier.count(2)) == ((1, 1), (0, 1))
    assert file.read_text() == LINES
    assert supplier.ask(2).status == 200
    assert file.read_text().splitlines()[-1] == '["effect","2","2","validated",null]'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINES + "nonsense\n" + LINES, "line 4 can't be read"),
        (LINES + "\0\0\0\n", "line 4 can't be read"),
        ('["effect","1","1","validated",null]\n', "it has an effect for order 1, but no call"),
        ('["call","1"]\n', "line 1 can't be read"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, text, said):
    file = tmp_path / "effects"
    file.write_text(text)
    with pytest.raises(SettingsError, match=f"EFFECTS_FILE: .*{said}"):
        asyncio.run(kept(Tally(Journal(file))))
    assert file.read_text() == text


async def kept(tally):
    async with tally.kept():
        pass


def test_two_suppliers_never_share_a_file(start, tmp_path):
    file = str(tmp_path / "effects")
    start(EFFECTS_FILE=file).ready()
    code, error = start(EFFECTS_FILE=file).ended()
    assert (code, error) == (2, f"supplier: EFFECTS_FILE: {file} is in use by another supplier\n")


def test_a_file_that_cant_be_is_named(start, tmp_path):
    (tmp_path / "file").touch()
    code, error = start(EFFECTS_FILE=str(tmp_path / "file" / "effects")).ended()
    assert code == 2
    assert "can't be opened: " in error


def test_what_cant_be_kept_didnt_happen(start, tmp_path):
    """The file may grow to 1 KiB: the line that doesn't fit leaves no trace, and its call is told so."""
    file = str(tmp_path / "effects")
    process = start("bash", "-c", 'ulimit -f 1; exec "$@"', "bash", EFFECTS_FILE=file)
    supplier = process.ready()
    statuses = [supplier.ask(number).status for number in range(1, 41)]
    assert set(statuses) == {200, 503}
    told = supplier.control.get("/effects").json()
    process.kill()
    again = start(EFFECTS_FILE=file).ready()
    assert again.control.get("/effects").json() == told
    for number, status in enumerate(statuses, start=1):
        assert (again.count(number)[0] == 1) == (status == 200)
    assert [again.ask(number).status for number in range(1, 41)] == [200] * 40


@pytest.mark.parametrize("setting", ["PORT", "CONTROL_PORT"])
def test_a_port_that_is_taken_is_named(start, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = start(**{setting: str(port)}).ended()
    assert code == 3
    assert f"{setting}: can't listen on 127.0.0.1:{port}: another process listens there" in error
    assert f"set {setting} to a free one" in error


def test_an_orderly_end_answers_what_hangs(start, order, of, eventually):
    process = start()
    supplier = process.ready()
    supplier.mode("hang")
    client = supplier.connect().send(of(order))
    eventually(lambda: supplier.count(order) == (0, 1))
    process.popen.send_signal(signal.SIGTERM)
    assert json.loads(client.reply().body)["status"] == "validated"
    assert client.rest().ending == "closed"
    assert process.ended() == (0, "")


@pytest.mark.parametrize("mode", ["down", "slow"])
def test_it_ends_in_order_in_any_mode(start, of, order, mode, eventually):
    process = start(DRAIN_FINISH="0.5")
    supplier = process.ready()
    client = supplier.connect()
    supplier.mode(mode)
    if mode == "slow":
        client.send(of(order))
        eventually(lambda: supplier.count(order) == (1, 1))
    process.popen.send_signal(signal.SIGTERM)
    assert process.ended() == (0, "")
