"""What can happen to the stream, and that it costs no job."""

# ruff: noqa: PLR0917 - fixtures

import asyncio
import logging

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from bookstore.orders.queue import relay as relay_room
from bookstore.orders.queue.app import STREAMS
from bookstore.orders.queue.doorbell import Doorbell, StreamLost
from bookstore.orders.queue.lane import Lane
from bookstore.orders.queue.metrics import WorkerMetrics
from bookstore.orders.queue.relay import Relay

STREAM = STREAMS["validate"]
LONG = {"ledger_republish": 3600.0, "worker_lease": 3600.0}


@pytest.fixture
def metrics():
    return WorkerMetrics(CollectorRegistry())


@pytest.fixture
def relay(ledger, bell, metrics):
    return Relay("validate", ledger, bell, metrics, republish=3600.0)


@pytest.fixture
def lane(ledger, bell, metrics):
    return Lane("validate", ledger, bell, metrics, work=None, room=lambda _: 8, lease=0.001, most_claims=20)


async def test_a_row_that_commits_late_is_not_passed_over(relay, bell, book):
    with psycopg.connect(book.url) as slow:
        slow.execute("INSERT INTO orders (lines, total_price) VALUES (1, 1)")
        slow.execute("INSERT INTO ledger (order_id) VALUES (1)")
        book.place()  # number 2, which commits first
        await relay.round()
        assert [entry.job_id for entry in await bell.read(10)] == [2]
        slow.commit()
    await relay.round()
    assert [entry.job_id for entry in await bell.read(10)] == [1]


async def test_nothing_is_marked_while_redis_is_away(ledger, metrics, book):
    book.place(3)
    nowhere = Doorbell("redis://127.0.0.1:1", STREAM, "me")
    with pytest.raises((RedisError, OSError)):
        await Relay("validate", ledger, nowhere, metrics, republish=3600.0).round()
    await nowhere.aclose()
    assert book.ask("SELECT DISTINCT published_at FROM ledger") == [(None,)]


async def test_what_was_marked_and_could_not_be_rung_is_due_again(relay, bell, book, monkeypatch):
    book.place(3)

    async def fail(_):
        raise ConnectionResetError

    monkeypatch.setattr(bell, "ring", fail)
    with pytest.raises(ConnectionResetError):
        await relay.round()
    assert book.ask("SELECT DISTINCT published_at FROM ledger") == [(None,)]


async def test_the_stream_is_never_cut_and_never_longer_than_it_should_be(relay, bell, book, monkeypatch):
    monkeypatch.setattr(relay_room, "_LONGEST_STREAM", 30)
    book.place(100)
    for _ in range(5):
        await relay.round()
    assert await bell.length() == 30
    await bell.remove([entry.id for entry in await bell.read(30)])
    await relay.round()
    assert await bell.length() == 30


async def test_a_group_made_anew_passes_nothing_over(bell, redis):
    await bell.ring([1, 2])
    redis.xgroup_destroy(STREAM, "workers")
    with pytest.raises(StreamLost):
        await bell.read(10)
    assert [entry.job_id for entry in await bell.read(10)] == [1, 2]


async def test_an_entry_that_was_deleted_while_pending_is_tidied_and_its_job_comes_again(
    relay, bell, lane, book, redis, eventually
):
    book.place(2)
    await relay.round()
    first, second = await bell.read(10)
    redis.xdel(STREAM, first.id)
    await asyncio.to_thread(
        eventually, lambda: redis.xpending_range(STREAM, "workers", "-", "+", 10, idle=2)[1:]
    )
    assert await bell.stale(0.001) == [(first.id, 0), second]
    await lane.tidy()
    assert redis.xpending(STREAM, "workers")["pending"] == 0
    # The one that still said whose it was is due at once, the other when nobody takes it for long.
    assert book.ask("SELECT published_at IS NULL FROM ledger ORDER BY id") == [(False,), (True,)]


STRANGERS = [{"foo": "bar"}, {"job": "x"}, {"job": ""}, {"job": "-1"}, {"job": "9" * 30}, {"job": "1_0"}]


async def test_what_is_no_ring_of_ours_is_tidied_away(bell, lane, redis, eventually):
    for stranger in STRANGERS:
        redis.xadd(STREAM, stranger)
    assert [entry.job_id for entry in await bell.read(10)] == [0] * len(STRANGERS)
    assert [entry.job_id for entry in await bell.read_again()] == [0] * len(STRANGERS)
    await asyncio.to_thread(
        eventually,
        lambda: len(redis.xpending_range(STREAM, "workers", "-", "+", 10, idle=2)) == len(STRANGERS),
    )
    await lane.tidy()
    assert (redis.xlen(STREAM), redis.xpending(STREAM, "workers")["pending"]) == (0, 0)


async def test_a_thousand_idle_entries_are_tidied_by_two_at_once(
    relay, bell, lane, ledger, book, redis, metrics
):
    book.place(1000)
    await relay.round()
    await relay.round()
    for _ in range(10):
        await bell.read(100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "watch", lambda *_: None)
        other = Lane(
            "validate", ledger, bell, metrics, work=None, room=lambda _: 8, lease=0.001, most_claims=1
        )
    await asyncio.gather(lane.tidy(), other.tidy())
    assert (redis.xlen(STREAM), redis.xpending(STREAM, "workers")["pending"]) == (0, 0)
    assert book.ask("SELECT count(*) FROM ledger WHERE published_at IS NULL") == [(1000,)]


async def test_a_worker_that_is_long_gone_is_forgotten_but_never_with_entries(bell, redis, monkeypatch):
    monkeypatch.setattr("bookstore.orders.queue.doorbell._DEAD_CONSUMER", -1)
    await bell.ring([1])
    entries = await bell.read(10)
    redis.xgroup_createconsumer(STREAM, "workers", "idle")
    await bell.forget_the_dead()
    await bell.leave()
    assert [consumer["name"] for consumer in redis.xinfo_consumers(STREAM, "workers")] == [b"me"]
    await bell.remove([entry.id for entry in entries])
    await bell.leave()
    assert redis.xinfo_consumers(STREAM, "workers") == []


async def test_answers_belong_to_their_questions_however_many_calls_are_cancelled(bell, redis):
    await bell.ring([7])
    redis.client_pause(150)
    calls = [asyncio.create_task(bell.length() if n % 2 else bell.stale(9.0)) for n in range(40)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    for _ in range(20):
        assert await bell.length() == 1
        assert await bell.stale(9.0) == []
    assert [entry.job_id for entry in await bell.read(1)] == [7]


LOSSES = {
    "FLUSHALL": lambda redis: redis.flushall(),
    "XGROUP DESTROY": lambda redis: redis.xgroup_destroy(STREAM, "workers"),
    "DEL": lambda redis: redis.delete(STREAM),
    "SCRIPT FLUSH": lambda redis: redis.script_flush(),
    "CLIENT KILL": lambda redis: [redis.client_kill_filter(_type="normal", skipme=True) for _ in range(5)],
}


def test_what_others_write_into_the_stream_holds_up_nothing(run_worker, book, redis, pending, eventually):
    with run_worker(**LONG):
        book.place()
        book.settled()
        for stranger in STRANGERS:
            redis.xadd(STREAM, stranger)
        book.place(3)
        book.settled()
        eventually(lambda: pending() == (0, 0))
    assert set(book.states()) == {"Validated"}


@pytest.mark.parametrize("loss", LOSSES)
def test_work_goes_on_at_once_after(loss, run_worker, book, redis, outside, caplog, pending, eventually):
    """Neither lease nor republishing helps here: they come an hour later."""
    caplog.set_level(logging.INFO)
    with run_worker(**LONG) as worker:
        book.place(5)
        book.settled()
        outside.gate.clear()
        book.place(100)  # some in hand, others in the stream, when it is lost
        assert outside.arrived.wait(10)
        caplog.clear()
        LOSSES[loss](redis)
        outside.gate.set()
        book.place(20)
        book.settled()
        assert worker.http.get("/health/live").status_code == 200
    assert set(book.states()) == {"Validated"}
    assert set(outside.effects.values()) == set(book.changes().values()) == {1}
    assert len([each for each in caplog.records if each.name.startswith("bookstore.orders.queue")]) < 20
    eventually(lambda: pending() == (0, 0))
