"""The guide's walk: each of its commands, and what it says that one sees."""

import re
import time

import pytest

from bookstore.service.testing import eventually
from bookstore.service.testing.problems import check_problem


@pytest.fixture
def playground(play):
    return play()


def state(playground):
    return playground.get("/circuit_state").raise_for_status().json()


def test_errors_open_the_circuit_and_then_nobody_is_called(playground, outside):
    done = playground.get("/invoke_error?count=20").raise_for_status().json()
    assert (done["requested"], done["successful"], done["fallbacks"]) == (20, 0, 20)
    assert len(outside.asked) == sum(each["attempts"] for each in done["results"]) < 20
    said = playground.get("/logs")
    assert said.headers["content-type"].startswith("text/plain")
    assert said.headers["cache-control"] == "no-store"
    failures = re.findall(rf"HTTP error on {re.escape(outside.url)}/status/500", said.text)
    assert len(failures) >= 3
    assert (
        said.text.index("HTTP error on")
        < said.text.index("Circuit opened")
        < said.text.rindex("Fallback for")
    )
    shown = state(playground)
    assert shown.keys() == {"state", "fail_count", "opened_at"}
    assert shown["state"] in ("OPEN", "HALF_OPEN")
    assert shown["fail_count"] >= 3
    assert shown["opened_at"] is not None
    # Open by hand, so that a slow machine can't make it half-open meanwhile.
    assert playground.post("/force_open").json()["state"] == "OPEN"
    calls = len(outside.asked)
    fast = playground.get("/invoke?count=5").json()
    assert (fast["fallbacks"], len(outside.asked)) == (5, calls)
    for result in fast["results"]:
        assert result.keys() == {"url", "status", "source", "attempts", "elapsed_ms"}
        assert (result["status"], result["source"], result["attempts"]) == (None, "fallback", 0)


def test_a_slow_service_is_waited_for_three_times_two_seconds(playground, outside):
    done = playground.get("/invoke_delay?count=1").json()
    [result] = done["results"]
    assert (result["url"], result["attempts"], result["source"]) == (f"{outside.url}/delay/3", 3, "fallback")
    assert result["elapsed_ms"] >= 3 * 2000 + 400 + 800
    said = playground.get("/logs").text
    assert said.count(f"Timeout on {outside.url}/delay/3") == 3
    assert re.findall(r"Retry of \S+ in (\S+) s", said) == ["0.4", "0.8"]
    assert f"Fallback for {outside.url}/delay/3" in said
    assert state(playground)["state"] == "OPEN"  # three failures in a row
    assert state(playground)["fail_count"] == 3
    # After eight seconds one call is let through, and closes it.
    eventually(lambda: state(playground)["state"] != "OPEN")
    assert state(playground)["state"] == "HALF_OPEN"
    assert playground.get("/invoke?count=1").json()["successful"] == 1
    assert state(playground) == {"state": "CLOSED", "fail_count": 0, "opened_at": None}
    assert re.findall(r"Circuit (opened|half-open|closed)", playground.get("/logs").text) == [
        "opened",
        "half-open",
        "closed",
    ]


def test_a_batch_is_spread_over_time_and_places(playground, outside):
    began = time.monotonic()
    done = playground.get("/invoke?count=1").json()
    assert done["results"][0]["url"] == f"{outside.url}/get"
    shown = playground.get("/stress?seconds=2").raise_for_status().json()
    took = time.monotonic() - began
    assert shown["callers"] == 12
    assert shown["most_at_once"] <= 6
    # Six at once, and then six a second: never more.
    assert len(outside.asked) <= 6 + 6 * took + 1
    assert shown["requested"] == shown["successful"] + shown["fallbacks"] >= 12


def test_the_switch(playground, outside):
    assert playground.post("/force_open").json()["state"] == "OPEN"
    assert state(playground)["opened_at"] is not None
    done = playground.get("/invoke?count=5").json()
    assert done["fallbacks"] == 5
    assert outside.asked == []
    assert playground.get("/logs").text.count("Fallback for") == 5
    assert playground.post("/reset_circuit").json() == {"state": "CLOSED", "fail_count": 0, "opened_at": None}
    assert playground.get("/invoke?count=1").json()["successful"] == 1


def test_nobody_there_is_an_error_like_another(playground, outside):
    outside.refuse()
    done = playground.get("/invoke_error?count=2").json()
    assert done["fallbacks"] == 2
    assert "HTTP error on" in playground.get("/logs").text
    assert "nobody takes the connection" in playground.get("/logs").text


@pytest.mark.parametrize("path", ["invoke", "invoke_delay", "invoke_error"])
@pytest.mark.parametrize("count", ["0", "501", "-1", "x", "1e1", "", "5&count=6", "99999999999"])
def test_counts_that_are_none(shared, path, count):
    check_problem(shared.get(f"/{path}?count={count}"), 400, "validation")


@pytest.mark.parametrize("seconds", ["0", "51", "-1", "x", "1.5", "1&seconds=2"])
def test_times_that_are_none(shared, seconds):
    check_problem(shared.get(f"/stress?seconds={seconds}"), 400, "validation")


@pytest.mark.parametrize("switch", ["force_open", "reset_circuit"])
def test_the_switch_is_no_get_and_needs_ops_where_tokens_are_required(play, shared, switch):
    check_problem(shared.get(f"/{switch}"), 405)
    guarded = play(auth_required=True)
    check_problem(guarded.post(f"/{switch}"), 401)
    assert state(guarded)["state"] == "CLOSED"


def test_what_every_service_answers(shared):
    for path in ("health", "health/live", "health/ready", "whoami", "metrics", "openapi.json", "docs"):
        assert shared.get(f"/{path}").status_code == 200, path
    series = 'bookstore_breaker_state{dependency="supplier",state="closed"} 1.0'
    assert series in shared.get("/metrics").text
