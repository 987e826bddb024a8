"""Promises: how much of what may be bad was bad, by what the services themselves have counted."""

import pytest

from bookstore.monitor.survey import survey as survey_module
from bookstore.monitor.survey.exposition import read
from bookstore.monitor.survey.picture import MOST
from bookstore.monitor.survey.promises import PROMISES, RECENT, WINDOW, Ledger
from bookstore.service.testing import eventually

from .stand import answer

TEXT = """\
http_requests_total{{handler="/a",method="GET",status_class="2xx"}} {good}
http_requests_total{{handler="/a",method="GET",status_class="5xx"}} {bad}
http_request_duration_seconds_bucket{{handler="/a",le="0.25"}} {quick}
http_request_duration_seconds_bucket{{handler="/a",le="+Inf"}} {total}
worker_job_duration_seconds_bucket{{queue="validate",outcome="ok",le="2.5"}} {quick}
worker_job_duration_seconds_bucket{{queue="validate",outcome="ok",le="+Inf"}} {total}
worker_job_duration_seconds_bucket{{queue="settle",outcome="ok",le="+Inf"}} 1e9
"""


def text(good, bad=0, slow=0):
    return TEXT.format(good=good, bad=bad, quick=good + bad - slow, total=good + bad)


def ledger(service, *readings, instance="a-1", into=None):
    made = into or Ledger()
    for at, numbers in readings:
        made.take(service, instance, read(text(*numbers), at))
    return made


def shown(made, service, name, now):
    [found] = [each for each in made.show({service}, now) if each.name == name]
    return found


def test_what_was_counted_before_is_nobodys_business():
    made = ledger("books", (100.0, (5000, 5000)), (101.0, (5000, 5000)))
    assert shown(made, "books", "availability", 101.0).budget_left is None
    assert shown(made, "books", "availability", 101.0).burn is None
    assert shown(made, "books", "availability", 101.0).window_seconds == 1.0


def test_the_budget_is_used_up_by_what_is_bad():
    made = ledger("books", (0.0, (0, 0)), (1.0, (1000, 0)))
    assert shown(made, "books", "availability", 2.0).budget_left == 1.0
    ledger("books", (2.0, (1999, 1)), into=made)  # one of two thousand, where two may be
    assert shown(made, "books", "availability", 3.0).budget_left == pytest.approx(0.5)
    ledger("books", (3.0, (1999, 101)), into=made)
    assert shown(made, "books", "availability", 4.0).budget_left < -40
    assert shown(made, "books", "availability", 4.0).burn > 40
    quiet = shown(made, "books", "availability", 3.0 + RECENT + 20)
    assert (quiet.burn, quiet.budget_left < -40) == (None, True)


def test_what_is_late_is_bad():
    for service, name in (("orders", "latency"), ("orders-worker", "validation")):
        made = ledger(service, (0.0, (0,)), (1.0, (1000, 0, 5)))
        assert shown(made, service, name, 1.0).budget_left == pytest.approx(0.5)


def test_a_process_that_begins_anew_and_another_beside_it():
    made = ledger("gateway", (0.0, (1000, 50)), (1.0, (10, 0)), (2.0, (20, 0)))
    assert shown(made, "gateway", "availability", 2.0).budget_left == 1.0
    ledger("gateway", (0.0, (0, 0)), (3.0, (978, 1)), instance="a-2", into=made)
    assert shown(made, "gateway", "availability", 3.0).budget_left == pytest.approx(1 - 1 / 0.999, abs=0.01)


def test_what_is_long_past_is_forgotten():
    made = ledger("books", (0.0, (0, 0)), (10.0, (0, 100)), (10.0 + WINDOW + 20, (1000, 100)))
    promise = shown(made, "books", "availability", 10.0 + WINDOW + 20)
    assert (promise.budget_left, promise.window_seconds) == (1.0, WINDOW)


def test_only_of_those_who_are_watched():
    assert Ledger().show({"books"})
    assert not Ledger().show({"postgres"})
    assert len(PROMISES) == len({(promise.service, promise.name) for promise in PROMISES})


def test_the_map_has_promises_and_stores(monkeypatch, stand, watched):
    monkeypatch.setattr(survey_module, "PACE", 0.05)
    health = b'{"status":"healthy","services":{"database":"healthy","redis":"healthy","books":"healthy"}}'
    books = stand(health=answer(200, health), metrics=answer(200, text(0).encode()))
    store = stand(health="silence")
    postgres, redis = (store.url.replace("http", scheme) for scheme in ("postgresql", "redis"))
    monitor = watched(books=books, postgres=postgres, redis=redis)
    monitor.sees(books="HEALTHY")
    monitor.get("/v2/monitor/topology")  # from here on it counts
    books.answers["/metrics"] = answer(200, text(100).encode())

    def kept():
        shown = monitor.get("/v2/monitor/topology").json()
        return shown["promises"][0]["budget_left"] is not None and shown

    shown = eventually(kept)
    assert [(each["service"], each["kind"]) for each in shown["services"]] == [
        ("books", "service"),
        ("postgres", "store"),
        ("redis", "store"),
    ]
    edges = {(each["source"], each["target"]): each for each in shown["edges"]}
    assert edges.keys() == {("books", "postgres"), ("books", "redis")}
    assert edges["books", "redis"]["calls_per_second"] is None
    assert {(each["name"], each["budget_left"]) for each in shown["promises"]} == {
        ("availability", 1.0),
        ("latency", 1.0),
    }


def test_a_service_that_tells_of_too_much_fills_no_page(stand, watched):
    lines = "".join(
        f'bookstore_breaker_state{{dependency="d{number}",state="open"}} 1\n'
        f'bookstore_limiter_decisions_total{{scope="s{number}",outcome="allowed"}} 1\n'
        for number in range(1000)
    )
    health = (
        b'{"status":"healthy","services":{' + b",".join(b'"n%d":"healthy"' % n for n in range(1000)) + b"}}"
    )
    monitor = watched(books=stand(health=answer(200, health), metrics=answer(200, lines.encode())))
    monitor.sees(books="HEALTHY")
    shown = monitor.get("/v2/monitor/circuits").json()
    assert (len(shown["circuits"]), len(shown["limiters"])) == (MOST, MOST)
    assert len(monitor.get("/v2/monitor/topology").json()["edges"]) == MOST
