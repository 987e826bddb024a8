"""Watching an order: its state now, each change, the end; and what ends a watch before that."""

import asyncio
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import monotonic

import httpx
import pytest

from bookstore.orders.events import api as events_api
from bookstore.orders.events.feed import Feed
from bookstore.service.database import DatabaseUnavailable
from bookstore.service.testing import started, wait_until_ready

ONE = {"book_id": 1, "quantity": 1}


class Watch:
    """An open event stream, read item by item."""

    def __init__(self, answer):
        self.answer = answer
        self._lines = answer.iter_lines()

    def item(self):
        """The next event or comment, as a dict of its fields; None at the end."""
        fields = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        return None

    def event(self):
        while (item := self.item()) is not None and "data" not in item:
            pass
        return item and {**item, "data": json.loads(item["data"])}

    def state(self):
        event = self.event()
        return event and event["data"]["status"]


@contextmanager
def _watch(client, order_id=1, **headers):
    with client.stream("GET", f"/v2/orders/{order_id}/events", headers=headers) as answer:
        yield Watch(answer)


@pytest.fixture
def order(orders):
    return orders.post("/v1/orders", json=ONE).json()


def _watched(client):
    [line] = [
        x for x in client.get("/metrics").text.splitlines() if x.startswith("bookstore_watched_orders ")
    ]
    return float(line.split()[1])


@pytest.mark.quiet
def test_first_the_state_of_now_then_each_change_then_the_end(orders, order, finish, database_url):
    with _watch(orders) as watch:
        assert watch.answer.status_code == 200
        assert watch.answer.headers["content-type"].startswith("text/event-stream")
        assert watch.answer.headers["cache-control"] == "no-store"
        first = watch.event()
        assert first["event"] == "state"
        assert first["data"] == {
            "order_id": 1, "status": "Processing", "at": order["created_at"], "cause": "ordered",
        }  # fmt: skip
        started = monotonic()
        finish(database_url, 1, "Validated", "validated by the supplier")
        second = watch.event()
        assert monotonic() - started < 2.0  # told, not found at the next heartbeat
        assert (second["data"]["status"], second["data"]["cause"]) == (
            "Validated", "validated by the supplier",
        )  # fmt: skip
        assert int(second["id"]) > int(first["id"])
        assert watch.item() is None


def test_a_final_order_is_told_once(orders, order, finish, database_url):
    finish(database_url, order["id"], "Rejected")
    with _watch(orders) as watch:
        assert watch.state() == "Rejected"
        assert watch.item() is None


def test_whoever_comes_back_is_told_what_was_missed(orders, order, finish, database_url):
    with _watch(orders) as watch:
        seen = watch.event()["id"]
    with _watch(orders, **{"Last-Event-ID": seen}) as watch:
        finish(database_url, order["id"])
        assert watch.state() == "Validated"  # and not "Processing" again
    with _watch(orders, **{"Last-Event-ID": seen}) as watch:
        last = watch.event()
        assert last["data"]["status"] == "Validated"
        assert watch.item() is None
    answer = orders.get("/v2/orders/1/events", headers={"Last-Event-ID": last["id"]})
    assert (answer.status_code, answer.content) == (204, b"")  # which ends an EventSource for good


@pytest.mark.parametrize("seen", ["", "abc", "-1", "1.5", "9" * 40])
def test_a_last_event_that_cannot_be_is_none(orders, order, finish, database_url, seen):
    finish(database_url, order["id"])
    with _watch(orders, **{"Last-Event-ID": seen}) as watch:
        assert watch.state() == "Validated"


def test_all_who_watch_are_served_by_one_connection(orders, query, finish, database_url, eventually):
    for _ in range(5):
        orders.post("/v1/orders", json=ONE).raise_for_status()
    many = httpx.Client(base_url=orders.base_url, limits=httpx.Limits(max_connections=None))
    with many as client, ExitStack() as stack:
        watches = [stack.enter_context(_watch(client, 1 + n % 5)) for n in range(50)]
        assert {watch.state() for watch in watches} == {"Processing"}
        assert _watched(orders) == 50
        listening = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN %%'"
        )
        # One that a busy machine made it give up may take a moment to be gone.
        eventually(lambda: query(listening) == [(1,)])
        for number in range(1, 6):
            finish(database_url, number)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(Watch.state, watches)) == {"Validated"}
            assert set(pool.map(Watch.item, watches)) == {None}
    assert _watched(orders) == 0


@pytest.mark.quiet
@pytest.mark.usefixtures("order")
def test_a_watcher_who_leaves_makes_room_within_a_second(
    database_url, books, run_orders, check_problem, eventually
):
    with run_orders(database_url, books.url, event_streams=2) as client:
        with _watch(client) as first, _watch(client) as second:
            assert first.state() == second.state() == "Processing"
            refused = client.get("/v2/orders/1/events")
            check_problem(refused, 503, "too-many-watchers")
        left = monotonic()
        eventually(lambda: _watched(client) == 0)
        assert monotonic() - left < 1.0
        with _watch(client) as again:
            assert again.state() == "Processing"


def test_nothing_is_missed_while_the_connection_is_away(orders, order, query, finish, database_url):
    with _watch(orders) as watch:
        assert watch.state() == "Processing"
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %%'"
        assert query(cut) == [(True,)]
        finish(database_url, order["id"])  # nobody listens
        assert watch.state() == "Validated"


async def test_all_are_woken_when_the_listening_begins_anew():
    """While nobody listened anything may have happened to any order."""
    told = asyncio.Queue()

    async def listen():
        while isinstance(item := await told.get(), str):
            yield item
        raise item

    async with Feed(listen, most=10) as feed:
        with feed.watch(1) as first, feed.watch(2) as second:
            for item in ("", DatabaseUnavailable("lost"), ""):
                told.put_nowait(item)
                if item == "":
                    await asyncio.gather(first.wait(), second.wait())
                    first.clear()
                    second.clear()
            told.put_nowait("2")
            await second.wait()
            assert not first.is_set()


@pytest.mark.usefixtures("order")
def test_heartbeats_show_that_it_is_still_there(orders, monkeypatch):
    monkeypatch.setattr(events_api, "HEARTBEAT", 0.05)
    with _watch(orders) as watch:
        assert watch.item() == {"retry": "1000"}
        assert watch.item()["event"] == "state"
        assert watch.item() == watch.item() == {"": "still here"}


@pytest.mark.usefixtures("order")
def test_a_head_ends_and_holds_no_place(orders, eventually):
    answer = orders.head("/v2/orders/1/events")
    assert (answer.status_code, answer.content) == (200, b"")
    eventually(lambda: _watched(orders) == 0)


def test_who_leaves_tells_its_watchers_to_go_elsewhere(postgres_database, books, tmp_path):
    settings = {"DATABASE_URL": postgres_database, "BOOKS_SERVICE_URL": books.url}
    with started("bookstore.orders", tmp_path, **settings, DRAIN_ANNOUNCE="2", DRAIN_FINISH="1") as url:
        wait_until_ready(url)
        with httpx.Client(base_url=url) as client:
            client.post("/v1/orders", json=ONE)
            with _watch(client) as watch:
                assert watch.state() == "Processing"
                os.kill(client.get("/whoami").json()["pid"], signal.SIGTERM)
                assert watch.item() is None
                assert client.get("/health/ready").json()["status"] == "draining"
