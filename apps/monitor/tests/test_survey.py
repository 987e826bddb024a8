"""What is made of the services' metrics: rates, circuits, limits, the map."""

import pytest

from bookstore.monitor.survey import survey as survey_module
from bookstore.monitor.survey.exposition import MOST, read
from bookstore.monitor.survey.flow import Flow, p95, rate, share
from bookstore.service.testing import eventually
from bookstore.service.testing.problems import check_problem

from .stand import answer

TEXT = """\
# HELP http_requests_total Requests answered.
http_requests_total{{handler="/v1/orders",method="POST",status_class="2xx"}} {orders}
http_requests_total{{handler="/v1/orders",method="GET",status_class="2xx"}} {reads}
http_requests_total{{handler="/v1/orders",method="GET",status_class="5xx"}} {errors} # {{trace_id="abc"}} 1.0
http_request_duration_seconds_bucket{{handler="/a",le="0.1"}} {reads}
http_request_duration_seconds_bucket{{handler="/a",le="1.0"}} {total}
http_request_duration_seconds_bucket{{handler="/a",le="+Inf"}} {total}
bookstore_call_duration_seconds_bucket{{dependency="books",outcome="ok",le="0.5"}} {reads}
bookstore_call_duration_seconds_bucket{{dependency="books",outcome="ok",le="+Inf"}} {reads}
bookstore_call_duration_seconds_count{{dependency="books",outcome="ok"}} {reads}
bookstore_call_duration_seconds_count{{dependency="books",outcome="fail"}} {errors}
bookstore_breaker_state{{dependency="books",state="closed"}} 0.0
bookstore_breaker_state{{dependency="books",state="open"}} 1.0
bookstore_breaker_transitions_total{{dependency="books",from="closed",to="open"}} 2.0
bookstore_breaker_rejected_total{{dependency="books"}} 7.0
bookstore_bulkhead_in_flight{{dependency="books"}} 3.0
bookstore_bulkhead_waiting{{dependency="books"}} 1.0
bookstore_bulkhead_rejected_total{{dependency="books"}} 4.0
bookstore_retry_attempts_total{{dependency="books",outcome="sent"}} 5.0
bookstore_timeouts_total{{dependency="books"}} 6.0
bookstore_limiter_decisions_total{{scope="api",outcome="allowed"}} 9.0
bookstore_limiter_decisions_total{{scope="api",outcome="refused"}} 2.0
bookstore_limiter_degraded_total{{scope="api"}} 1.0
"""


def text(orders, reads, errors):
    return TEXT.format(orders=orders, reads=reads, errors=errors, total=orders + reads + errors)


def flow(*readings):
    made = Flow()
    for at, numbers in readings:
        made.add(read(text(*numbers), at))
    return made


def test_rates_are_taken_over_the_last_seconds():
    made = flow((0.0, (0, 0, 0)), (1.0, (5, 50, 5)), (2.0, (10, 100, 10)))
    assert rate([made], "requests") == 60.0
    assert rate([made], "orders") == 5.0
    assert share([made], [("requests", "5xx")], ("requests",)) == pytest.approx(10 / 120, abs=1e-4)
    assert share([made], [("calls", "books", "ok")], ("calls", "books")) == pytest.approx(100 / 110, abs=1e-4)
    assert 100 < p95([made], ("requests",)) <= 1000
    assert rate([made, made], "orders") == 10.0


def test_rates_forget_what_is_long_past():
    assert rate([flow((0.0, (0, 0, 0)), (20.0, (100, 0, 0)), (21.0, (101, 0, 0)))], "orders") == 1.0


def test_a_process_that_begins_anew_is_no_negative_rate():
    made = flow((0.0, (100, 100, 100)), (1.0, (110, 110, 110)), (2.0, (1, 1, 1)))
    assert rate([made], "orders") is None
    made.add(read(text(3, 3, 3), 3.0))
    assert rate([made], "orders") == 2.0


def test_of_nothing_nothing_is_known():
    still = flow((0.0, (1, 1, 1)), (1.0, (1, 1, 1)))
    assert rate([], "orders") is None
    assert rate([still], "orders") == 0.0
    assert share([still], [("requests", "5xx")], ("requests",)) is None
    assert p95([still], ("requests",)) is None


@pytest.mark.parametrize(
    "hostile",
    [
        'bookstore_breaker_state{dependency="<b>",state="open"} 1',
        'bookstore_breaker_state{dependency="' + "x" * 500 + '",state="open"} 1',
        'bookstore_breaker_state{dependency="a\\"b",state="open"} 1',
        "bookstore_breaker_state 1",
        'bookstore_breaker_state{dependency="books",state="open"} NaN',
        'bookstore_breaker_state{dependency="books",state="open"} Inf',
        'bookstore_breaker_state{dependency="books",state="open"} 1' + "0" * 4000,
        'bookstore_breaker_state{{{{{{{{dependency="books",state="open"} 1',
        "bookstore_breaker_state{" + 'a="b",' * 10_000,
        "\x00\xff",
    ],
    ids=[
        "markup",
        "long",
        "quotes",
        "no labels",
        "NaN",
        "Inf",
        "a long number",
        "braces",
        "many labels",
        "bytes",
    ],
)
def test_what_is_not_understood_is_passed_over(hostile):
    reading = read(f"{hostile}\n{text(1, 2, 3)}", 0.0)
    assert reading._replace(at=0.0) == read(text(1, 2, 3), 0.0)


def test_there_is_an_end_to_what_is_kept():
    many = "\n".join(f'bookstore_bulkhead_waiting{{dependency="d{number}"}} 1' for number in range(3 * MOST))
    assert len(read(many, 0.0).gauges) <= MOST + 1


def test_the_map_and_the_circuits(monkeypatch, stand, watched):
    monkeypatch.setattr(survey_module, "PACE", 0.1)
    orders, books = stand(metrics=answer(200, text(0, 0, 0).encode())), stand(metrics=answer(404, b""))
    control = stand(
        get_failure_mode=answer(200, b'{"mode":"slow","since":"2026-11-21T12:00:00Z","ends_at":null}')
    )
    monitor = watched(**{"orders": orders, "books": books, "supplier-control": control})
    monitor.sees(orders="HEALTHY", books="HEALTHY")
    [circuit] = monitor.get("/v2/monitor/circuits").json()["circuits"]
    assert circuit == {
        "service": "orders",
        "instance": "orders-1",
        "dependency": "books",
        "state": "open",
        "opened": 2,
        "rejected": 7,
        "in_flight": 3,
        "waiting": 1,
        "turned_away": 4,
        "retries": 5,
        "retries_over_budget": 0,
        "timeouts": 6,
        "failures": 0,
        "last_failure_at": None,
    }
    [limiter] = monitor.get("/v2/monitor/circuits").json()["limiters"]
    assert (limiter["scope"], limiter["allowed"], limiter["refused"], limiter["degraded"]) == ("api", 9, 2, 1)
    orders.answers["/metrics"] = answer(200, text(10, 80, 10).encode())

    def moved():
        shown = monitor.get("/v2/monitor/topology").json()
        return shown["orders_per_second"] and shown

    shown = eventually(moved)
    [edge] = shown["edges"]
    assert (edge["source"], edge["target"], edge["circuit"]) == ("orders", "books", "open")
    assert edge["success_share"] == pytest.approx(80 / 90, abs=1e-3)
    nodes = {node["service"]: node for node in shown["services"]}
    assert nodes["orders"]["error_share"] == 0.1
    assert nodes["books"] == {
        "service": "books",
        "kind": "service",
        "status": "HEALTHY",
        "instances": 1,
        "requests_per_second": None,
        "error_share": None,
        "p95_ms": None,
    }
    [fault] = shown["faults"]
    assert monitor.get("/v2/monitor/faults").json() == {"data": [fault], "possible": []}
    assert (fault["service"], fault["mode"], fault["by"]) == ("supplier", "slow", "")
    circuits = monitor.get("/v2/monitor/circuits").json()["circuits"]
    assert circuits[0]["last_failure_at"] is not None


def test_nobody_is_asked_while_nobody_wants_to_know(monkeypatch, stand, watched):
    monkeypatch.setattr(survey_module, "PACE", 0.05)
    monkeypatch.setattr(survey_module, "KEPT_UP", 0.3)
    books = stand()
    monitor = watched(books=books)
    monitor.sees(books="HEALTHY")

    def asked():
        return sum(request.target.startswith("/metrics?") for request in books.asked)

    def looked():
        return len(books.asked) - asked()

    assert asked() == 0
    monitor.get("/v2/monitor/topology").raise_for_status()
    eventually(lambda: asked() > 3)
    before, looks = -1, 0
    while before != asked():  # it ends by itself
        before, looks = asked(), looked()
        eventually(lambda looks=looks: looked() > looks + 5)


def test_a_service_that_gives_no_metrics_delays_nobody(stand, watched):
    monitor = watched(
        books=stand(metrics=answer(200, text(1, 1, 1).encode())), orders=stand(metrics="silence")
    )
    monitor.sees(books="HEALTHY", orders="HEALTHY")
    shown = monitor.get("/v2/monitor/topology").json()
    assert {node["service"]: node["status"] for node in shown["services"]} == {
        "books": "HEALTHY",
        "orders": "HEALTHY",
    }
    assert [edge["source"] for edge in shown["edges"]] == ["books"]


@pytest.mark.parametrize(
    "path",
    [
        "instances",
        "history",
        "topology",
        "circuits",
        "faults",
        "queue",
        "queue/jobs/1",
        "traces",
        "events",
        "audit",
        "lab/catalogue",
        "lab/runs",
        "lab/runs/1",
        "lab/reports",
        "lab/reports/1",
    ],
)
def test_with_tokens_required_internals_are_for_ops(stand, watched, path):
    monitor = watched(
        {"auth_required": True}, books=stand(**{".well-known/jwks.json": answer(200, b'{"keys":[]}')})
    )
    check_problem(monitor.get(f"/v2/monitor/{path}"), 401)
    forged = monitor.get(f"/v2/monitor/{path}", headers={"Authorization": "Bearer a.b.c"})
    check_problem(forged, 401)
    monitor.sees(books="HEALTHY")  # /health_status is for everybody


def test_while_somebody_looks_a_service_that_goes_is_seen_at_once(monkeypatch, stand, watched):
    monkeypatch.setattr(survey_module, "PACE", 0.05)
    books = stand()
    monitor = watched({"probe_interval": 60.0}, books=books)
    monitor.sees(books="HEALTHY")

    def seen(state):
        monitor.get("/v2/monitor/topology").raise_for_status()
        return monitor.states() == {"books": state}

    books.refuse()
    eventually(lambda: seen("DOWN"))
    books.open()
    eventually(lambda: seen("HEALTHY"))
