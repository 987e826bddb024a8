"""The queue, as orders tells it, or as it told it last."""

import pytest

from .stand import answer

OWED = b'"queue":{"unfinished":3,"oldest_age_seconds":1.5,"parked":1,"dead":2}'
HEALTH = b'{"status":"healthy","services":{},' + OWED + b"}"
STATUS = b'{"paused_since":null,"kinds":{}}'
DEAD = b'{"data":[],"total":2,"limit":20,"offset":0}'
KNOWN = {"unfinished": 3, "oldest_age_seconds": 1.5, "parked": 1, "dead": 2}


@pytest.fixture
def orders(stand):
    paths = {
        "health": answer(200, HEALTH),
        "v1/queue": answer(200, STATUS),
        "v1/queue/dead": answer(200, DEAD),
    }
    return stand(**paths)


def test_the_queue_is_asked_for_in_the_name_of_who_asks(orders, watched):
    monitor = watched(orders=orders)
    monitor.sees(orders="HEALTHY")
    shown = monitor.get("/v2/monitor/queue").json()
    assert shown == {
        "known": KNOWN,
        "status": {"paused_since": None, "kinds": {}},
        "dead": {"total": 2, "limit": 20, "offset": 0, "data": []},
    }
    assert all("authorization" not in request.headers for request in orders.asked)


@pytest.mark.parametrize(
    "told", [answer(401, b""), answer(200, b"{}"), answer(200, b"[[["), "silence", "reset"]
)
def test_what_orders_does_not_tell_is_what_it_told_last(orders, watched, told):
    monitor = watched(orders=orders)
    monitor.sees(orders="HEALTHY")
    orders.answers["/v1/queue"] = orders.answers["/v1/queue/dead"] = told
    assert monitor.get("/v2/monitor/queue").json() == {"known": KNOWN, "status": None, "dead": None}


def test_without_orders_there_is_no_queue(stand, watched):
    monitor = watched(books=stand())
    monitor.sees(books="HEALTHY")
    assert monitor.get("/v2/monitor/queue").json() == {"known": None, "status": None, "dead": None}
