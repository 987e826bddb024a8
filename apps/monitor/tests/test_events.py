"""The event stream: what it tells, who gets a place, and what slow readers cost."""

import asyncio
import json
import socket
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from urllib.parse import urlsplit

from bookstore.monitor.events import feed as feed_module
from bookstore.monitor.events.feed import BOX, TRACE_BYTES, Feed, Reader
from bookstore.service.testing import eventually
from bookstore.service.testing.problems import check_problem

from .stand import PATIENCE, answer
from .test_traces import TRACE, request, span


def told(lines):
    """The events of a stream, as (type, data, id)."""
    event = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
            continue
        if "data" in event:
            yield event.get("event"), json.loads(event["data"]), event.get("id")
        event = {}


@contextmanager
def reading(monitor, **headers):
    with monitor.stream("GET", "/v2/monitor/events", headers=headers) as stream:
        assert stream.status_code == 200, stream.read()
        yield told(stream.iter_lines())


def first(events, kind, wanted=lambda _: True):
    return next(each for each in events if each[0] == kind and wanted(each[1]))


def test_the_stream_begins_with_the_picture_and_tells_each_change(stand, watched):
    books = stand()
    monitor = watched(books=books, orders=stand())
    monitor.sees(books="HEALTHY", orders="HEALTHY")
    with reading(monitor) as events:
        _, picture, _ = first(events, "picture")
        assert [each["instance"] for each in picture["instances"]] == ["books-1", "orders-1"]
        assert picture["topology"]["services"][0]["status"] == "HEALTHY"
        books.refuse()
        # Perhaps first as one that breaks off: a look may have been under way.
        _, change, _ = first(events, "change", lambda change: change["after"] == "DOWN")
        assert change["instance"] == "books-1"
        first(events, "picture", lambda picture: picture["instances"][0]["status"] == "DOWN")


def test_whoever_comes_back_is_told_what_was_missed(stand, watched):
    books = stand()
    monitor = watched(books=books)
    monitor.sees(books="HEALTHY")
    [seen] = monitor.get("/v2/monitor/history").json()["data"]
    for state in ("DOWN", "HEALTHY"):
        books.refuse() if state == "DOWN" else books.open()
        monitor.sees(books=state)
    with reading(monitor, **{"Last-Event-ID": seen["id"]}) as events:
        for state in ("DOWN", "HEALTHY"):
            _, change, identity = first(
                events, "change", lambda change, state=state: change["after"] == state
            )
            assert change["id"] == identity
    known = {change["id"] for change in monitor.get("/v2/monitor/history").json()["data"]}
    for strange in ("another-1", "x" * 5000, "0"):
        with reading(monitor, **{"Last-Event-ID": strange}) as events:
            # A busy machine's look may be late just now, which is a change of its own.
            new = takewhile(lambda event: event[0] != "picture", events)
            assert known.isdisjoint(identity for _, _, identity in new)


def test_the_fifty_first_reader_is_told_so_and_gets_a_place_once_one_is_free(stand, watched):
    monitor = watched(books=stand())
    monitor.sees(books="HEALTHY")
    with ExitStack() as stack:
        readers = [stack.enter_context(ExitStack()) for _ in range(50)]
        for each in readers:
            each.enter_context(reading(monitor))
        refused = monitor.get("/v2/monitor/events")
        problem = check_problem(refused, 503, "too-many-readers")
        assert "50" in problem["detail"]
        assert refused.headers["Retry-After"] == "5"
        assert "bookstore_monitor_readers 50.0" in monitor.get("/metrics").text
        readers[0].close()
        eventually(lambda: "bookstore_monitor_readers 49.0" in monitor.get("/metrics").text)
        with reading(monitor) as events:
            first(events, "picture")
    eventually(lambda: "bookstore_monitor_readers 0.0" in monitor.get("/metrics").text)


def test_who_does_not_read_is_cut_off_and_slows_nobody(monkeypatch, stand, watched):
    monkeypatch.setattr(feed_module, "PACE", 0.01)
    monkeypatch.setattr(feed_module, "STALLED", 1.0)
    encode = feed_module._encode
    monkeypatch.setattr(feed_module, "_encode", lambda shape: encode(shape) + b" " * 1_000_000)
    monitor = watched(books=stand())
    monitor.sees(books="HEALTHY")

    def readers(count):
        return f"bookstore_monitor_readers {count}.0" in monitor.get("/metrics").text

    place = urlsplit(str(monitor.base_url))
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as idle:
        idle.sendall(b"GET /v2/monitor/events HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: readers(1))
        with reading(monitor) as events:
            assert readers(2)
            # The other goes on getting pictures all the while, and a place is free again.
            eventually(lambda: first(events, "picture") and readers(1))


def test_a_box_holds_the_newest_changes_and_one_picture():
    reader = Reader()
    for number in range(BOX + 7):
        reader.tell(b"%d " % number)
        reader.show(b"picture %d" % number)
    taken = reader.take()
    assert taken.startswith(b"event: missed\ndata: 7\n\n7 8 ")
    assert taken.endswith(b"106 picture 106")
    assert (reader.take(), reader.news.is_set()) == (b"", False)


def test_news_of_traces_that_nobody_takes_have_an_end_in_bytes():
    reader = Reader()
    for number in range(20):
        reader.mention(b"%02d" % number + b"x" * (TRACE_BYTES // 4))
    taken = reader.take()
    assert len(taken) <= TRACE_BYTES
    assert taken.startswith(b"17")
    reader.mention(b"x" * 2 * TRACE_BYTES)  # a single one is told, however long
    assert len(reader.take()) == 2 * TRACE_BYTES
    assert reader.take() == b""


def test_a_trace_is_told_of_as_it_comes_and_again_when_more_of_it_does(shared):
    def send(*spans):
        headers = {"Content-Type": "application/x-protobuf"}
        shared.post("/v1/traces", content=request(*spans), headers=headers).raise_for_status()

    def news(events):
        _, traces, _ = first(events, "traces", lambda traces: traces[-1]["trace_id"] == TRACE)
        return traces[-1]

    with reading(shared) as events:
        first(events, "picture")
        send(span("b7ad6b7169203331", name="<img src=x onerror=alert(1)>"))
        assert news(events)["spans"] == 1
        send(span("b7ad6b7169203332", parent="b7ad6b7169203331", error=True))
        assert (told := news(events))["spans"] == 2
        assert (told["errors"], told["name"]) == (1, "<img src=x onerror=alert(1)>")


async def test_nothing_is_painted_while_nobody_reads_and_a_painter_may_fail():
    painted = []

    def paint():
        painted.append(1)
        raise LookupError

    async with Feed(paint, traces=list, most=1) as feed:
        assert painted == []
        with feed.reader():
            async with asyncio.timeout(PATIENCE):
                while not painted:  # noqa: ASYNC110 - it has no event to wait for
                    await asyncio.sleep(0.01)


def test_a_hostile_service_cannot_put_anything_into_the_picture(stand, watched):
    evil = stand(
        metrics=answer(200, b'bookstore_breaker_state{dependency="<img src=x>",state="open"} 1\n' * 100)
    )
    monitor = watched(books=evil)
    monitor.sees(books="HEALTHY")
    assert monitor.get("/v2/monitor/circuits").json()["circuits"] == []
