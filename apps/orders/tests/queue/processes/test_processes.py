"""Workers that die, freeze, hang and leave: in processes of their own, by real signals."""

import signal
from typing import get_args

import httpx
import pytest

from bookstore.orders.queue.failpoint import Step

# Sixteen lives begin and end one after the other, and a busy machine takes its time with each.
pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

STEPS = [step for step in get_args(Step) if step != "commit"]


def _all_well(book, outside):
    book.settled()
    assert set(book.states()) == {"Validated"}
    assert set(book.changes().values()) == {1}
    assert set(outside.effects.values()) == {1}
    assert len(outside.effects) == len(book.states())
    assert set(outside.reservations.values()) == {"committed"}
    assert set(outside.settled.values()) == {1}
    assert book.ask("SELECT order_id FROM ledger GROUP BY order_id, kind HAVING count(*) > 1") == []


def test_a_worker_may_die_between_any_two_steps(start_worker, book, outside, pending, eventually):
    """Life after life, each dies at another place; whatever it leaves behind, the others finish."""
    for step in STEPS:
        lives = [start_worker(FAILPOINT=f"{kind}.{step}:kill") for kind in ("validate", "settle")]

        def all_dead(lives=lives):
            # A place is reached only if there is something to do there.
            if book.unfinished() < 10:
                book.place(reserve=outside)
            return all(worker.process.poll() is not None for worker in lives)

        eventually(all_dead)
        assert [worker.dies() for worker in lives] == [-signal.SIGKILL] * 2
    start_worker()
    _all_well(book, outside)
    eventually(lambda: pending() == (0, 0))


def test_a_frozen_worker_wakes_up_too_late(start_worker, book, outside, eventually):
    """It freezes after its call and before its commit, and wakes when another one has done the job."""
    frozen = start_worker(FAILPOINT="validate.call:stop")
    [order] = book.place(quantity=1, reserve=outside)
    eventually(lambda: outside.calls[order] == 1)
    eventually(lambda: _is_stopped(frozen.process.pid))
    outside.modes[order] = "refused"  # another verdict than the one that it holds
    start_worker()
    eventually(lambda: book.states(order) == ["Failed"])
    before = book.job()
    frozen.signal(signal.SIGCONT)
    eventually(lambda: frozen.metric("bookstore_queue_fenced_total", what="finish") == 1)
    assert book.job() == before
    assert (before["token"], book.changes()) == (2, {order: 1})
    assert book.states(order) == ["Failed"]


def test_a_worker_frozen_in_its_calls_is_refused_what_it_brings(start_worker, book, outside, eventually):
    outside.gate.clear()
    frozen = start_worker(SUPPLIER_TIMEOUT="1")
    ids = book.place(10)
    eventually(lambda: len(outside.calls) == 10)
    frozen.signal(signal.SIGSTOP)
    outside.gate.set()
    other = start_worker()
    eventually(lambda: book.states(*ids) == ["Validated"] * 10)
    frozen.signal(signal.SIGCONT)
    eventually(lambda: frozen.metric("bookstore_queue_fenced_total") == 10)
    assert set(outside.effects.values()) == set(book.changes().values()) == {1}
    assert other.metric("bookstore_queue_republished_total", reason="lease") == 10


def test_a_job_longer_than_its_lease_is_done_once(start_worker, book, outside, eventually):
    outside.gate.clear()
    workers = [start_worker(SUPPLIER_TIMEOUT="30") for _ in range(2)]
    [order] = book.place()
    eventually(lambda: outside.calls[order] == 1)
    leases = set()
    eventually(lambda: leases.add(book.job()["lease_until"]) or len(leases) > 9)  # three leases of one second
    outside.gate.set()
    book.settled()
    assert (outside.calls[order], book.job()["token"]) == (1, 1)
    assert sum(worker.metric("bookstore_queue_fenced_total") for worker in workers) == 0


def test_a_job_that_kills_its_worker_ends_as_a_dead_letter(start_worker, book, outside):
    book.place(reserve=outside)
    for _ in range(2):
        assert start_worker(FAILPOINT="validate.claim:kill", MAX_CLAIMS="2").dies() == -signal.SIGKILL
    start_worker(MAX_CLAIMS="2")
    book.settled()
    assert book.states() == ["Failed"]
    assert (book.job()["state"], book.job()["cause"]) == ("dead", "2 claims came to no outcome")
    assert not outside.calls
    assert list(outside.reservations.values()) == ["released"]


def test_who_leaves_finishes_gives_back_and_leaves_nothing_pending(
    start_worker, book, outside, pending, eventually
):
    worker = start_worker(
        DRAIN_FINISH="1", WORKER_LEASE="3600", LEDGER_REPUBLISH="3600", SUPPLIER_TIMEOUT="30"
    )
    ids = book.place(70)
    outside.modes[ids[0]] = "hang"
    eventually(lambda: book.states(*ids[1:]) == ["Validated"] * 69)
    worker.signal(signal.SIGTERM)
    assert worker.dies() == 0
    assert pending() == (0, 0)
    job = book.job()
    assert (job["state"], job["attempts"], job["lease_until"]) == ("parked", 0, None)
    outside.modes.clear()
    start_worker(WORKER_LEASE="3600", LEDGER_REPUBLISH="3600")
    book.settled()
    assert set(outside.effects.values()) == set(book.changes().values()) == {1}


def test_an_order_whose_answer_was_lost_is_processed(start_worker, books, book, eventually):
    orders = start_worker("bookstore.orders", BOOKS_SERVICE_URL=books.url, FAILPOINT="order.commit:kill")
    eventually(lambda: _answers(orders, "/health/ready"))
    with pytest.raises(httpx.TransportError):
        orders.http.post("/v1/orders", json={"book_id": 1, "quantity": 1})
    assert book.states() == ["Processing"]
    start_worker()
    eventually(lambda: book.states() == ["Validated"])


def _answers(worker, path):
    try:
        return worker.http.get(path).status_code == 200
    except httpx.TransportError:
        return False


EVICTION = [("allkeys-lru", False), ("volatile-lru", True)]


@pytest.mark.parametrize(("policy", "starts"), EVICTION)
def test_a_redis_that_may_drop_the_stream_is_refused(policy, starts, redis, start_worker, book):
    before = redis.config_get("maxmemory-policy")["maxmemory-policy"]
    redis.config_set("maxmemory-policy", policy)
    try:
        worker = start_worker()
        if starts:
            book.place()
            book.settled()
        else:
            assert worker.dies() == 2
            assert policy in worker.log.read_text()
    finally:
        redis.config_set("maxmemory-policy", before)


def _is_stopped(pid):
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] == "T"
