"""Redis, PostgreSQL or the supplier away, frozen or killed, and back again."""

# ruff: noqa: PLR0917 - fixtures

import pytest

pytestmark = pytest.mark.long


@pytest.fixture
def lonely_redis(redis_server):
    """A worker's settings for a Redis that may be broken."""
    return {"redis_url": redis_server.url}


def test_orders_wait_for_redis_and_none_is_lost(
    redis_server, lonely_redis, run_worker, book, outside, eventually
):
    with run_worker(**lonely_redis) as worker:
        book.place(20)
        book.settled()
        redis_server.kill()
        eventually(lambda: worker.http.get("/health").json()["services"]["redis"] == "unhealthy")
        book.place(20)
        assert worker.http.get("/health/live").status_code == 200
        assert worker.http.get("/health/ready").status_code == 200
        redis_server.start()
        book.settled()
    assert set(book.states()) == {"Validated"}
    assert set(outside.effects.values()) == {1}


def test_a_frozen_redis_is_waited_for(redis_server, lonely_redis, run_worker, book, outside, eventually):
    with run_worker(**lonely_redis) as worker:
        book.place(5)
        book.settled()
        redis_server.freeze()
        book.place(20)
        eventually(lambda: worker.metric("bookstore_queue_last_poll_age_seconds", kind="validate") > 2.5)
        assert worker.http.get("/health/live").status_code == 200
        redis_server.resume()
        book.settled()
    assert set(outside.effects.values()) == set(book.changes().values()) == {1}


@pytest.fixture
def lonely_book(fragile, open_book):
    """The ledger on a PostgreSQL that may be broken."""
    return lambda: open_book(fragile)


@pytest.mark.parametrize("fault", ["freeze", "kill"])
def test_a_verdict_survives_the_database(
    fault, postgres_server, lonely_book, run_worker, outside, eventually
):
    """The supplier has answered; what it said is kept until it can be written, or asked for again."""
    book = lonely_book()
    with run_worker(database_url=book.url) as worker:
        outside.gate.clear()
        book.place(30)
        eventually(lambda: len(outside.calls) == 30)
        getattr(postgres_server, fault)()
        outside.gate.set()
        eventually(lambda: worker.http.get("/health").json()["services"]["database"] == "unhealthy")
        postgres_server.resume() if fault == "freeze" else postgres_server.start()
        book = lonely_book()
        book.settled()
        assert set(book.states()) == {"Validated"}
        assert set(outside.effects.values()) == set(book.changes().values()) == {1}


def test_a_supplier_that_was_down_gets_all_orders_and_no_stampede(run_worker, book, outside, eventually):
    outside.refuse()
    with run_worker() as worker:
        ids = book.place(100)
        # Its circuit has opened, been tried, and opened again.
        opened = {"dependency": "supplier", "to": "open"}
        eventually(lambda: worker.metric("bookstore_breaker_transitions_total", **opened) >= 2)
        assert set(book.states(*ids)) == {"Processing"}
        health = worker.http.get("/health").json()
        # Half open, it is called healthy; and books may be away by now, which is the same peer.
        assert (health["status"] == "degraded") == ("unhealthy" in health["services"].values())
        assert book.ask("SELECT max(attempts) FROM ledger")[0][0] <= 1
        outside.open()
        book.settled()
    assert book.states(*ids) == ["Validated"] * 100
    assert set(outside.calls.values()) == {1}
    assert outside.most_at_once <= 64


def test_a_cancelled_order_stays_cancelled_whatever_the_supplier_says(run_worker, book, outside, eventually):
    with run_worker() as worker:
        outside.gate.clear()
        [order] = book.place(reserve=outside)
        eventually(lambda: outside.calls[order] == 1)
        book.cancel(order)
        outside.gate.set()
        eventually(lambda: worker.metric("bookstore_queue_fenced_total", what="finish") == 1)
        book.settled()
    assert book.states() == ["Cancelled"]
    assert book.changes() == {order: 1}
    assert list(outside.reservations.values()) == ["released"]


def test_a_worker_that_reads_no_more_says_so(run_worker, eventually, monkeypatch):
    monkeypatch.setattr("bookstore.orders.queue.worker.STUCK", 0.0)
    with run_worker() as worker:
        eventually(lambda: worker.http.get("/health/live").status_code == 503)
