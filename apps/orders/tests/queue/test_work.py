"""Orders come to their end: what each answer of the supplier means, and what becomes of the stock."""

import asyncio
import re

import pytest

from bookstore.contracts.orders import NewLine
from bookstore.orders.queue.link import Link
from bookstore.orders.queue.model import Job, Parked
from bookstore.orders.queue.supplier import Supplier
from bookstore.service.upstream import Upstream


def test_orders_are_validated_or_rejected_and_nothing_is_left(worker, book, outside, pending, eventually):
    good = book.place(20, reserve=outside)
    bad = book.place(5, quantity=1001, reserve=outside)
    book.settled()
    assert set(book.states(*good)) == {"Validated"}
    assert set(book.states(*bad)) == {"Rejected"}
    assert set(book.changes().values()) == {1}
    assert set(outside.effects.values()) == {1}
    assert len(outside.effects) == 25
    assert sorted(outside.reservations.values()) == ["committed"] * 20 + ["released"] * 5
    eventually(lambda: pending() == (0, 0))
    for queue in ("validate", "settle"):
        assert worker.metric("worker_jobs_completed_total", queue=queue) == 25
        assert worker.metric("worker_job_duration_seconds_count", queue=queue) == 25
        assert worker.metric("worker_jobs_failed_total", queue=queue) == 0
    assert worker.metric("bookstore_queue_fenced_total") == 0
    assert worker.metric("bookstore_queue_republished_total") == 0


def test_a_reason_is_kept_and_a_trace_goes_on(run_worker, book, outside):
    trace = "0af7651916cd43dd8448eb211c80319c"
    [order] = book.place(quantity=1001)
    book.do("UPDATE ledger SET traceparent = %s", f"00-{trace}-b7ad6b7169203331-01")
    with run_worker():
        book.settled()
    assert book.ask("SELECT cause FROM order_events WHERE to_state = 'Rejected'") == [("too many",)]
    assert book.job()["cause"] == "too many"
    [headers] = outside.headers
    assert re.fullmatch(f"00-{trace}-(?!b7ad6b7169203331)[0-9a-f]{{16}}-01", headers["traceparent"])
    assert headers["idempotency-key"] == str(order)
    assert 0 < int(headers["x-deadline-ms"]) <= 21_000
    assert outside.questions[order] == {"order_id": order, "items": [{"book_id": 7, "quantity": 1001}]}


# What decides nothing: tried three times, parked, and validated when the supplier is well again.
PASSING = [
    ("error", "status 500", "5xx"),
    ("unavailable", "status 503", "5xx"),
    ("throttled", "status 429", "4xx"),
    ("conflict", "status 409", "4xx"),
    ("accept_then_reset", "the connection broke", "other"),
    ("half_body", "the connection broke", "other"),
    ("bad_json", "an answer that can't be read", "other"),
    ("deep", "an answer that can't be read", "other"),
    ("empty", "an answer that can't be read", "other"),
    ("other_order", "an answer to another question", "other"),
    ("moved", "status 302", "other"),
    ("hang", "no answer in time", "timeout"),
]


async def test_what_decides_nothing_is_tried_three_times_and_parked(outside):
    outside.modes = {number: mode for number, (mode, _, _) in enumerate(PASSING, start=1)}

    async def ask(number):
        async with Upstream(outside.url) as upstream:
            link = Link("supplier", upstream, concurrency=1, timeout=0.3)
            return await Supplier(link).validate(_job(number))

    outcomes = await asyncio.gather(*(ask(number) for number in outside.modes))
    for number, (mode, cause, trouble) in enumerate(PASSING, start=1):
        outcome = outcomes[number - 1]
        assert isinstance(outcome, Parked), mode
        assert (outcome.cause, outcome.trouble) == (f"supplier: {cause}", trouble), mode
        assert outcome.forgiven
        assert outside.calls[number] == 3, mode
        assert 0.5 <= outcome.seconds <= 15.0


async def test_an_open_circuit_parks_without_a_call_until_it_is_tried_again(outside):
    async with Upstream(outside.url) as upstream:
        link = Link("supplier", upstream, concurrency=4, timeout=1.0)
        assert (link.room(1), link.room(4)) == (3, 0)
        link.breaker.force_open()
        assert link.room(0) == 0
        outcome = await Supplier(link).validate(_job(1))
    assert outcome.cause == "supplier: circuit open"
    assert outcome.trouble is None
    assert not outside.calls


MODES_IN_PART = ["error", "accept_then_reset", "hang"]


@pytest.mark.parametrize("mode", MODES_IN_PART)
def test_a_supplier_that_fails_now_and_then_gets_every_order_in_the_end(run_worker, book, outside, mode):
    outside.mode, outside.every = mode, 3
    with run_worker(supplier_timeout=0.5):
        ids = book.place(40, reserve=outside)
        book.settled()
    assert book.states(*ids) == ["Validated"] * 40
    assert set(outside.effects.values()) == set(book.changes().values()) == {1}
    assert set(outside.reservations.values()) == {"committed"}


def _job(order_id):
    return Job(
        id=order_id, token=1, kind="validate", order_id=order_id, items=[NewLine(book_id=7, quantity=1)],
        attempts=1, episodes=0, traceparent=None, reservation_id=None, settlement=None, reserve=False,
    )  # fmt: skip


def test_a_definite_bad_answer_fails_the_order_and_gives_its_stock_back(worker, book, outside):
    outside.mode = "refused"
    [order] = book.place(reserve=outside)
    book.settled()
    assert book.states() == ["Failed"]
    assert book.job()["state"] == "dead"
    assert "status 422" in book.job()["cause"]
    assert list(outside.reservations.values()) == ["released"]
    assert outside.calls[order] == 1
    assert worker.metric("worker_jobs_failed_total", **{"class": "4xx"}) == 1


def test_what_is_not_validated_in_time_fails_also_when_nobody_can_ask(run_worker, book, outside):
    outside.refuse()
    ids = book.place(3)
    with run_worker(validation_deadline=2.0):
        book.settled()
    assert book.states(*ids) == ["Failed"] * 3
    assert book.job()["cause"] == "not validated within 2 s"


def test_books_away_keeps_nobody_from_being_validated(worker, book, outside, eventually):
    outside.books_mode = "error"
    ids = book.place(100, reserve=outside)
    eventually(lambda: set(book.states(*ids)) == {"Validated"})
    opened = {"dependency": "books", "to": "open"}
    eventually(lambda: worker.metric("bookstore_breaker_transitions_total", **opened) >= 1)
    assert book.unfinished() == 100
    outside.books_mode = "normal"
    book.settled()
    assert set(outside.reservations.values()) == {"committed"}
    assert set(outside.settled.values()) == {1}


@pytest.mark.parametrize("to", ["committed", "released"])
def test_stock_that_ended_the_other_way_is_an_operators(run_worker, book, outside, to):
    book.place(quantity=1001 if to == "committed" else 1, reserve=outside)
    outside.reservations = dict.fromkeys(outside.reservations, to)
    with run_worker():
        book.settled()
    assert book.ask("SELECT state, cause LIKE '%%409%%' FROM ledger WHERE kind = 'settle'") == [
        ("dead", True)
    ]


def test_reservations_without_an_order_are_let_go_and_no_others(run_worker, book, outside, eventually):
    book.do("UPDATE queue SET paused_at = now()")
    book.place(150, reserve=outside)
    mine = set(outside.reservations)
    lost = {f"lost-{number}" for number in range(130)}
    outside.reservations |= dict.fromkeys(lost, "held")
    with run_worker():
        eventually(lambda: {outside.reservations[name] for name in lost} == {"released"})
    assert {outside.reservations[name] for name in mine} == {"held"}
    # A request that was frozen before its commit finds its reservation taken.
    with pytest.raises(Exception, match="duplicate key"):
        book.do("INSERT INTO reservations (id, order_id) VALUES ('lost-1', 1)")


def test_a_paused_queue_takes_orders_and_does_nothing(worker, book, outside, eventually):
    book.do("UPDATE queue SET paused_at = now()")
    ids = book.place(5)
    outside.arrived.clear()
    assert not outside.arrived.wait(1.0)
    assert set(book.states(*ids)) == {"Processing"}
    eventually(lambda: worker.http.get("/health").json()["queue"]["unfinished"] == 5)
    book.do("UPDATE queue SET paused_at = NULL")
    book.settled()


def test_numbers_of_the_ledger_are_shown(run_worker, book, outside, eventually):
    outside.refuse()
    book.place(4)
    with run_worker() as worker:
        eventually(lambda: worker.metric("bookstore_queue_parked", kind="validate") == 4)
        assert worker.metric("bookstore_queue_depth", kind="validate") == 4
        eventually(lambda: worker.metric("bookstore_queue_oldest_age_seconds", kind="validate") > 1)
        assert worker.metric("bookstore_queue_last_poll_age_seconds", kind="settle") < 15
        health = worker.http.get("/health").json()
        assert (health["queue"]["unfinished"], health["queue"]["parked"]) == (4, 4)
        assert worker.http.get("/whoami").json()["service"] == "orders-worker"
