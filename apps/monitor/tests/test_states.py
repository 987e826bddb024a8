"""Which state a target is in, by what it answers."""

from itertools import pairwise

import pytest

from bookstore.service.testing import eventually
from bookstore.service.testing.problems import check_problem
from bookstore.service.testing.serving import free_port

from .stand import INTERVAL, WELL, Stand, answer

ILL = b'{"status":"unhealthy","services":{"database":"unhealthy"}}'
HALF_ILL = b'{"status":"degraded","services":{"books":"unhealthy"}}'


@pytest.mark.parametrize(
    ("answers", "state", "detail"),
    [
        ({}, "HEALTHY", ""),
        ({"health": answer(200, HALF_ILL)}, "DEGRADED", "lacks books"),
        ({"health": 0.5}, "DEGRADED", "took longer than 0.3 s"),
        ({"health": "silence"}, "DEGRADED", "answers other requests"),
        ({"health": answer(503, ILL)}, "UNHEALTHY", "lacks database"),
        ({"health": answer(500, b"oops, /etc/passwd")}, "UNHEALTHY", "answers with status 500"),
        ({"health": answer(302, b"")}, "UNHEALTHY", "answers with status 302"),
        ({"health": answer(503, WELL)}, "UNHEALTHY", "answers with status 503"),
        ({"health": answer(200, b"[" * 10_000)}, "UNHEALTHY", "breaks off, or is none"),
        ({"health": answer(200, b'{"status":"healthy"')}, "UNHEALTHY", "breaks off, or is none"),
        ({"health": answer(200, WELL + b" " * 100_000)}, "UNHEALTHY", "breaks off, or is none"),
        ({"health": b"Connection: close\r\nwhat is HTTP?\r\n\r\n"}, "UNHEALTHY", "breaks off, or is none"),
        ({"health": answer(length=1000) + b"connection: close"}, "UNHEALTHY", "breaks off, or is none"),
        ({"all": "reset"}, "UNHEALTHY", "breaks off, or is none"),
        ({"all": "silence"}, "UNHEALTHY", "does not answer"),
        ({"all": "trickle"}, "UNHEALTHY", "does not answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_state_for_each_answer(stand, watched, answers, state, detail):
    monitor = watched(books=stand(**answers))
    monitor.sees(books=state)
    seen = eventually(lambda: (told := monitor.services()["books"]) and detail in told["detail"] and told)
    assert seen["status"] == state
    assert seen.keys() == {"status", "response_time_ms", "checked_at", "detail"}
    assert (seen["response_time_ms"] is None) == (detail == "does not answer")


def test_nobody_there_is_down(watched):
    monitor = watched(supplier=f"http://127.0.0.1:{free_port()}")
    monitor.sees(supplier="DOWN")
    [seen] = monitor.services().values()
    assert (seen["response_time_ms"], seen["detail"]) == (None, "nobody takes the connection")


def test_names_in_an_answer_are_repeated_only_if_they_are_names(stand, watched):
    body = b'{"status":"degraded","services":{"<script>alert(1)</script>":"unhealthy","redis":"unhealthy"}}'
    monitor = watched(books=stand(health=answer(200, body)))
    monitor.sees(books="DEGRADED")
    assert monitor.services()["books"]["detail"] == "lacks redis"


def test_one_of_two_instances_that_is_gone_degrades_the_service(stand, watched):
    first, second = stand(), stand()
    monitor = watched(books=f"{first.url},{second.url}")
    monitor.sees(books="HEALTHY")
    second.refuse()
    monitor.sees(books="DEGRADED")
    assert monitor.services()["books"]["detail"] == "books-2 is DOWN: nobody takes the connection"
    instances = monitor.get("/v2/monitor/instances").json()["data"]
    assert [(each["instance"], each["status"]) for each in instances] == [
        ("books-1", "HEALTHY"),
        ("books-2", "DOWN"),
    ]
    first.refuse()
    monitor.sees(books="DOWN")
    second.open()
    first.answers["/health"] = answer(500, b"")
    first.open()
    monitor.sees(books="DEGRADED")


def test_before_the_first_round_is_over_nothing_is_claimed(stand, watched):
    monitor = watched(
        {"probe_patience": 60.0, "probe_slow": 30.0}, books=stand(), orders=stand(all="silence")
    )
    refused = monitor.get("/health_status")
    check_problem(refused, 503, "not-looked-yet")
    assert refused.headers["Retry-After"] == "1"


def test_targets_that_are_slow_frozen_or_gone_delay_nobody(stand, watched):
    """The well one is looked at in every interval, whatever the others do; each is in its own state."""
    well = stand()
    monitor = watched(
        books=well,
        frozen=stand(all="silence"),
        slow=stand(health=0.5),
        gone=f"http://127.0.0.1:{free_port()}",
        trickling=stand(all="trickle"),
    )
    seen = monitor.sees(frozen="UNHEALTHY", slow="DEGRADED", gone="DOWN", trickling="UNHEALTHY")
    assert seen["books"] == "HEALTHY"
    frozen = monitor.services()["frozen"]["checked_at"]
    looks = len(well.asked)
    eventually(lambda: monitor.services()["frozen"]["checked_at"] != frozen)
    # The frozen one takes 0.9 s a look, the well one 0.2: half of that is slack for a busy machine.
    assert len(well.asked) - looks >= 0.9 / INTERVAL / 2


def test_what_comes_back_is_seen_to(stand, watched):
    target = stand()
    monitor = watched(books=target)
    monitor.sees(books="HEALTHY")
    target.refuse()
    monitor.sees(books="DOWN")
    target.open()
    monitor.sees(books="HEALTHY")
    target.answers["/health"] = answer(500, b"")
    monitor.sees(books="UNHEALTHY")
    told = monitor.get("/v2/monitor/history", params={"service": "books"}).json()["data"]
    # On a busy machine a good answer may be late, and so degraded for a moment.
    states = [each["after"] for each in reversed(told) if each["after"] != "DEGRADED"]
    assert told[-1]["before"] is None
    assert (states[0], states[-2:]) == ("HEALTHY", ["HEALTHY", "UNHEALTHY"])
    # Between, it went and came back: perhaps first as one that breaks off, if a look was under way.
    assert ("DOWN", "HEALTHY") in pairwise(states)
    assert [each["before"] for each in told[:-1]] == [each["after"] for each in told[1:]]
    assert len({each["id"] for each in told}) == len(told)
    assert len(monitor.get("/v2/monitor/history?limit=2").json()["data"]) == 2
    assert monitor.get("/v2/monitor/history?service=nobody").json() == {"data": []}
    for bad in ("limit=0", "limit=1001", "limit=x"):
        check_problem(monitor.get(f"/v2/monitor/history?{bad}"), 422, "validation")


def test_a_state_that_is_late_is_told_before_the_wait_is_over(stand, watched):
    target = stand()
    monitor = watched({"probe_patience": 60.0}, books=target)
    monitor.sees(books="HEALTHY")
    target.answers["*"] = "silence"
    monitor.sees(books="DEGRADED")
    assert monitor.services()["books"]["detail"] == "has not answered yet, and is late"


def test_stores_are_asked_without_a_password(watched, redis_server, postgres_server):
    redis = f"redis://127.0.0.1:{redis_server.port}"
    postgres = f"postgresql://127.0.0.1:{postgres_server.port}"
    monitor = watched(redis=redis, postgres=postgres)
    monitor.sees(redis="HEALTHY", postgres="HEALTHY")


@pytest.mark.parametrize(
    "words",
    [b"-LOADING Redis is loading the dataset\r\n", b"+OK\r\n", b"x" * 10_000],
    ids=["loading", "wrong", "endless"],
)
@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_a_store_that_answers_nonsense_is_unhealthy(watched, scheme, words):
    class Store(Stand):
        async def serve(self, reader, writer):
            await reader.read(1)
            writer.write(words)
            await writer.drain()

    store = Store()
    monitor = watched(store=f"{scheme}://127.0.0.1:{store.port}")
    try:
        monitor.sees(store="UNHEALTHY")
    finally:
        store.close()


def test_a_frozen_redis_is_unhealthy_until_it_goes_on(watched, redis_server):
    monitor = watched(redis=f"redis://127.0.0.1:{redis_server.port}")
    monitor.sees(redis="HEALTHY")
    redis_server.freeze()
    monitor.sees(redis="UNHEALTHY")
    redis_server.resume()
    monitor.sees(redis="HEALTHY")


def test_metrics_tell_each_state(stand, watched):
    monitor = watched(books=stand(), supplier=f"http://127.0.0.1:{free_port()}")
    monitor.sees(books="HEALTHY", supplier="DOWN")
    said = monitor.get("/metrics").text
    labels = 'instance="{0}-1",service="{0}",state="{1}"'
    for name, state, value in [("books", "HEALTHY", 1), ("books", "DOWN", 0), ("supplier", "DOWN", 1)]:
        assert f"bookstore_monitor_state{{{labels.format(name, state)}}} {value}.0" in said
    assert 'bookstore_monitor_probe_seconds_count{instance="supplier-1",service="supplier"} 0.0' in said
