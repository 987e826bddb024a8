"""Our own server on raw sockets: what it takes, what it refuses, whom it doesn't wait for."""

import asyncio
import json
import socket
import struct
from time import sleep

import pytest
from prometheus_client import generate_latest

from bookstore.service.door import ARRIVED, DoorMetrics, connection
from bookstore.service.door.arrival import since_arrival

from .doors import MEBI, answer_to, connected, echo, served

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

REFUSED = [
    (b"NONSENSE\r\n\r\n", 400),
    (b"GET /a\r\n\r\n", 505),
    (b"GET /a HTTP/2.0\r\n\r\n", 505),
    (b"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    (b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    (b"GET /a HTTP/1.1\r\nX: a\r\n b\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\nX: a\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\nHost: x:abc\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 65_600 + b"\r\n\r\n", 431),
    (b"GET /" + b"a" * 16_384 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
    (b"GET /a HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % number for number in range(101)) + b"\r\n", 431),
    (b"GET /a HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED, ids=[str(sent[:60]) for sent, _ in REFUSED])
async def test_what_could_be_read_in_two_ways_is_refused(sent, status):
    head, _, body = (await answer_to(sent)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close" in head
    assert b"\r\ndate: " in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert f"\r\nx-request-id: {problem['request_id']}\r\n".encode() in head
    assert f"\r\nx-trace-id: {problem['trace_id']}\r\n".encode() in head


TRACE = "0af7651916cd43dd8448eb211c80319c"
IDS = f"X-Request-ID: mine\r\nTraceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n".encode()
KNOWN = {
    "BREW /a%20b?c HTTP/1.1": "/a%20b",
    "BREW http://x/a HTTP/1.1": "/a",
    "BREW http:// HTTP/1.1": "",
    "GET /a HTTP/2.0": "/a",
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity": "/a",
    "GET /a HTTP/1.1" + "\r\nX: a" * 100: "/a",
}


@pytest.mark.parametrize("first", KNOWN, ids=lambda first: first[:40])
async def test_what_is_known_of_a_refused_request_is_in_the_answer(first):
    line, *others = first.encode().split(b"\r\n")
    sent = b"\r\n".join([line, IDS + b"Host: x", *others, b"", b""])
    problem = json.loads((await answer_to(sent)).partition(b"\r\n\r\n")[2])
    assert (problem["instance"], problem["request_id"], problem["trace_id"]) == (KNOWN[first], "mine", TRACE)


async def test_ids_of_the_request_before_are_not_those_of_the_refused_one():
    good = b"GET /a HTTP/1.1\r\nHost: x\r\n" + IDS + b"\r\n"
    answer = await answer_to(good + b"BREW /b HTTP/1.1\r\nHost: x\r\n\r\n")
    problem = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    assert (problem["status"], problem["instance"]) == (400, "")
    assert problem["request_id"] != "mine"
    assert problem["trace_id"] != TRACE


async def test_without_traces_a_refusal_has_no_id_of_one():
    head, _, body = (await answer_to(b"BREW /a HTTP/1.1\r\n" + IDS + b"\r\n", traced=False)).partition(
        b"\r\n\r\n"
    )
    assert b"x-trace-id" not in head
    assert "trace_id" not in json.loads(body)


async def test_what_is_refused_is_counted_and_logged_by_the_id_that_its_caller_has(caplog):
    caplog.set_level("INFO", "bookstore.service.door")
    async with served() as door:
        for sent in (b"BREW /a HTTP/1.1\r\n" + IDS + b"\r\n", b"NONSENSE\r\n\r\n"):
            async with connected(door) as client:
                await (await client.send(sent)).rest()
        told = generate_latest(DoorMetrics(door)).decode()
    for status in (400, 501):
        assert f'http_server_refused_requests_total{{status="{status}"}} 1.0' in told
    logged = [record for record in caplog.records if record.msg == "a request was refused"]
    assert [(record.status, record.request_id == "mine") for record in logged] == [(501, True), (400, False)]


async def test_an_app_that_fails_is_told_of_in_the_log_alone(caplog):
    async def fails(_scope, _receive, _send):
        raise RuntimeError("a secret")

    head, _, body = (await answer_to(GET, app=fails)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["type"] == "urn:bookstore:problem:internal"
    assert json.loads(body)["instance"] == "/a"
    assert b"secret" not in body
    assert "a secret" in caplog.text


async def test_requests_before_one_that_is_none_are_answered():
    answer = await answer_to(GET + GET + b"GET /a HTTP/9\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.index(b"HTTP/1.1 400 ") > answer.rindex(b"HTTP/1.1 200 ")


async def test_a_body_that_turns_out_to_be_none_ends_the_connection():
    heard: asyncio.Queue[dict] = asyncio.Queue()

    async def listens(_scope, receive, _send):
        for _ in range(2):
            heard.put_nowait(await receive())

    async with served(listens) as door, connected(door) as client:
        await client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        assert (await heard.get())["body"] == b"ab"
        await client.send(b"nonsense\r\n")
        assert (await heard.get())["type"] == "http.disconnect"


@pytest.mark.parametrize("begun", [b"", b"GET /a HTTP/1.1\r\nHo", GET])
async def test_who_sends_nothing_more_is_not_waited_for(begun):
    answer = await answer_to(begun, header_timeout=0.1)
    if begun == GET:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" not in answer
    else:
        assert answer.startswith(b"HTTP/1.1 408 ") is bool(begun)


async def refuses(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 413, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def test_no_reset_overtakes_the_answer_to_a_long_body_that_nobody_reads():
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (10 * MEBI)
    async with served(refuses) as door, connected(door) as client:
        await client.send(head)
        for _ in range(10):  # more than any route takes
            await client.send(bytes(MEBI))
        assert (await client.rest()).endswith(b"no")


async def test_an_answer_that_did_not_wait_for_the_body_ends_the_connection_at_once():
    answer = await answer_to(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", app=refuses)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"no")


def _hold_up_the_loop(seconds: float) -> None:
    """Nobody reads what has arrived."""
    sleep(seconds)


async def test_a_request_knows_for_how_long_it_lay_unread():
    told: asyncio.Queue[float] = asyncio.Queue()

    async def tells(scope, receive, send):
        told.put_nowait(scope["extensions"][ARRIVED]())
        await echo(scope, receive, send)

    async with served(tells) as door, connected(door) as client:
        for _ in range(2):
            client.writer.write(GET)
            _hold_up_the_loop(0.3)
            assert await told.get() >= 0.2  # the kernel counts in steps of some milliseconds
            await client.reader.readuntil(b"\r\n\r\n")


def test_where_the_kernel_does_not_tell_nothing_lay_unread():
    near, far = socket.socketpair()
    with near, far:
        assert since_arrival(near) == 0.0
    assert since_arrival(near) == since_arrival(None) == 0.0


async def test_who_takes_nothing_of_an_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(connection, "STALLED", 0.2)
    ended = asyncio.Event()

    async def endless(_scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        news = asyncio.ensure_future(receive())
        while not news.done():
            await send({"type": "http.response.body", "body": bytes(MEBI), "more_body": True})
        assert news.result() == {"type": "http.disconnect"}
        ended.set()

    async with served(endless) as door, connected(door, limit=1) as client:
        client.writer.transport.pause_reading()
        await client.send(GET)
        async with asyncio.timeout(20):
            await ended.wait()


KEPT = [
    (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"", False),
    (b"GET /a HTTP/1.0\r\n\r\n", b"connection: close\r\n", True),
    (b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"connection: keep-alive\r\n", False),
    (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"connection: close\r\n", True),
]


@pytest.mark.parametrize(("sent", "said", "closed"), KEPT)
async def test_both_sides_know_whether_the_connection_is_kept(sent, said, closed):
    async with served() as door, connected(door) as client:
        head = await (await client.send(sent)).reader.readuntil(b"\r\n\r\n")
        assert (said in head, b"connection" in head) == (True, bool(said))
        await client.reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if closed:
            assert await client.rest() == b""
        else:
            assert (await client.send(GET)) is client
            assert await client.reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize(("version", "reset"), [("1.1", False), ("1.0", True)])
async def test_half_an_answer_never_looks_whole(version, reset):
    async def breaks_off(_scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with served(breaks_off) as door, connected(door) as client:
        await client.send(f"GET /a HTTP/{version}\r\n\r\n".encode())
        if reset:
            with pytest.raises(ConnectionResetError):
                await client.rest()
        else:
            assert not (await client.rest()).endswith(b"0\r\n\r\n")


async def test_what_an_app_says_of_the_connection_and_of_the_day_is_said_once():
    async def says(_scope, receive, send):
        await receive()
        headers = [(b"connection", b"close"), (b"date", b"today")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    head = (await answer_to(GET, app=says)).lower()
    assert (head.count(b"connection: close"), head.count(b"date: "), b"date: today" in head) == (1, 1, True)


async def test_what_is_under_way_may_end_and_who_is_idle_is_let_go():
    go, arrived = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        arrived.set()
        await go.wait()
        await echo(scope, receive, send)

    async with served(slow) as door, connected(door) as idle, connected(door) as busy:
        await busy.send(GET)
        await arrived.wait()
        leaving = asyncio.ensure_future(door.leave(20.0))
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", door._port)
        go.set()
        answer = await busy.rest()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        await leaving


async def test_a_client_that_resets_ends_its_exchange():
    news = asyncio.Queue()

    async def waits(_scope, receive, _send):
        news.put_nowait(await receive())
        news.put_nowait(await receive())

    async with served(waits) as door, connected(door) as client:
        await client.send(GET)
        assert (await news.get())["type"] == "http.request"
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        assert (await news.get())["type"] == "http.disconnect"


@pytest.mark.parametrize(("asked", "end"), [(GET, b"0\r\n\r\n"), (b"HEAD" + GET[3:], b"\r\n\r\n")])
async def test_who_listens_beside_an_answer_stops_at_its_end(asked, end):
    """As streams do: they watch for a client that leaves, and the next request waits for their end."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def streams(_scope, receive, send):
        async def listens():
            while (message := await receive())["type"] != "http.disconnect":
                pass
            heard.put_nowait(message["type"])

        async with asyncio.TaskGroup() as group:
            group.create_task(listens())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            if asked == GET:  # else it has no end of its own
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with served(streams) as door, connected(door) as client, asyncio.timeout(20):
        for _ in range(2):
            await client.send(asked)
            assert (await client.reader.readuntil(end)).startswith(b"HTTP/1.1 200 ")
            assert await heard.get() == "http.disconnect"


@pytest.mark.parametrize("host", [b"x", b"x:80", b"[::1]:8000", b"", b"books-1.local"])
async def test_what_can_be_a_host(host):
    assert b" 200 OK" in await answer_to(b"GET /a HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host)
