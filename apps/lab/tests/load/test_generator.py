"""The open model: nobody waits for an answer before the next customer comes, and waiting is waiting."""

import asyncio
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from bookstore.lab.load import history
from bookstore.lab.load.generator import Generator, Plan, generate
from bookstore.lab.load.schedule import kinds, parse_mix, starts
from bookstore.lab.load.summary import summarise
from bookstore.lab.load.wire import NotLoopbackError


def plan(url, **more):
    return Plan(**{"doors": [url], "rate": 100, "seconds": 1, "mix": {"browse": 1}, "book": 1, **more})


@pytest.mark.parametrize("seconds", [4, pytest.param(10, marks=pytest.mark.long)])
async def test_a_server_frozen_for_a_second_can_not_hide_it(toy, tmp_path, seconds):
    """A closed loop would have sent one request meanwhile and reported a p99 of a few milliseconds."""

    held = []

    def hold(generator):
        """From a second on, for as long as a second's customers take to come."""
        if not held and len(generator.requests) >= 100:
            toy.send_signal(signal.SIGSTOP)
            held.append(True)
        elif held == [True] and generator.under_way >= 100:
            toy.send_signal(signal.SIGCONT)
            held.append(False)

    requests = await generate(plan(toy.url, seconds=seconds), tmp_path / "history", tell=hold, every=0.05)
    assert held == [True, False]
    summary = summarise(requests, 100 * seconds)
    assert summary.sent == 100 * seconds
    assert summary.dropped == 0
    assert summary.latency.p99 >= 850
    assert summary.latency.max >= 950
    assert summary.latency.p50 < 850


async def test_a_generator_that_lags_says_that_nothing_is_known(toy, tmp_path):
    async def hog():
        while True:
            time.sleep(0.2)  # noqa: ASYNC251 - this is what a lagging generator suffers from
            await asyncio.sleep(0.001)

    hogging = asyncio.create_task(hog())
    requests = await generate(plan(toy.url), tmp_path / "history")
    hogging.cancel()
    summary = summarise(requests, 100)
    assert summary.verdict == "unknown"
    assert "late" in summary.reason
    assert summary.lag_p99_ms > 50


def test_a_request_that_was_dropped_makes_it_unknown():
    assert (
        summarise([history.Request(number=0, op="x", due=0, sent=0, done=0.1, status=200)], 1).verdict
        == "valid"
    )
    assert "dropped 1" in summarise([history.Request(number=0, op="x", due=0, sent=0)], 2).reason


def test_what_was_written_is_there_whatever_becomes_of_the_writer(tmp_path):
    with history.Writer(tmp_path / "history") as writer:
        writer.write(history.Sent(number=0, op="order", due=0, sent=0))
        assert [request.outcome for request in history.read(tmp_path / "history")] == ["unknown"]


async def test_the_history_on_disk_is_what_happened(toy, tmp_path):
    path = tmp_path / "history"
    requests = await generate(plan(toy.url, mix={"order": 1, "browse": 1}), path)
    assert [(r.number, r.op, r.status, r.order) for r in history.read(path)] == [
        (r.number, r.op, r.status, r.order) for r in requests
    ]
    assert {request.order for request in requests if request.op == "order"} == {7}


def test_a_history_without_its_end_keeps_what_is_not_known(tmp_path):
    path = tmp_path / "history"
    with history.Writer(path) as writer:
        writer.write(history.Sent(number=0, op="order", due=1, sent=1))
        writer.write(history.Sent(number=1, op="order", due=2, sent=2))
        writer.write(history.Done(number=0, done=1.5, status=201, order=3))
    with path.open("ab") as file:
        file.write(b'{"kind":"done","num')
    first, second = history.read(path)
    assert (first.outcome, first.order, first.latency) == ("ok", 3, 0.5)
    assert (second.outcome, second.latency) == ("unknown", None)


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (201, "", "ok"),
        (409, "", "ok"),
        (503, "", "refused"),
        (0, "RefusedError", "refused"),
        (0, "TimeoutError", "unknown"),
    ],
)
def test_what_the_client_knows(status, error, outcome):
    assert history.Request(number=0, op="x", due=0, sent=0, status=status, error=error).outcome == outcome


def test_a_process_of_its_own_ends_early_and_in_order_when_told(toy, tmp_path):
    path = tmp_path / "history"
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "bookstore.lab.load", path], stdin=subprocess.PIPE
    ) as process:
        process.stdin.write(msgspec.json.encode(plan(toy.url, seconds=600)))
        process.stdin.close()
        while not path.exists() or not path.stat().st_size:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert all(request.outcome == "ok" for request in history.read(path))


def test_nothing_but_this_machine_is_ever_a_target(tmp_path):
    for url in ("http://example.com:80", "http://10.0.0.1:80", "http://[2001:db8::1]:80"):
        with pytest.raises(NotLoopbackError):
            Generator(plan(url), tmp_path / "history")


def test_the_schedule_is_fixed_before_anything_is_sent():
    assert starts(4, 1, "constant", 0) == [0, 0.25, 0.5, 0.75]
    drawn = starts(100, 10, "poisson", 7)
    assert drawn == starts(100, 10, "poisson", 7) != starts(100, 10, "poisson", 8)
    assert drawn == sorted(drawn)
    assert len(drawn) == 1000
    drawn = kinds({"browse": 9, "order": 1}, 1000, 7)
    assert 50 < drawn.count("order") < 150


@pytest.mark.parametrize(
    "text", ["browse=0", "browse=-1", "browse=x", "browse=inf", "browse=nan", "browse=1,order=0"]
)
def test_a_mix_that_makes_no_sense(text):
    with pytest.raises(ValueError):
        parse_mix(text)


def test_a_mix_as_it_is_typed():
    assert parse_mix("browse=5, order") == {"browse": 5, "order": 1}
