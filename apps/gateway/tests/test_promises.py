"""What is promised in seconds, by the clock: on a machine that is busy a promise may need several tries."""

import asyncio
import contextlib
from time import monotonic

import pytest

from .raw import CHUNKED, answers

HALF_A_HEAD = b"GET /v1/books HTTP/1.1\r\nHost: x\r\nX-Slow: "


async def seconds_until_closed(front, begin, *, pause):
    """Send this, and then a byte after each pause; gives how long that lasted and what came back."""
    reader, writer = await front.connect()
    began = monotonic()
    writer.write(begin)
    answer = asyncio.ensure_future(reader.read())
    while not answer.done():
        with contextlib.suppress(ConnectionError):
            writer.write(b"x")
            await writer.drain()
        await asyncio.wait({answer}, timeout=pause)
    writer.transport.abort()
    answered = b"" if answer.exception() else answer.result()
    return monotonic() - began, answered


@pytest.mark.parametrize(
    ("within", "pause"),
    [(0.5, 0.05), pytest.param(None, 1.0, marks=pytest.mark.long)],
    ids=["soon", "as it is"],
)
async def test_a_head_has_to_be_there_in_time(gateway, within, pause):
    async with gateway(header_timeout=within) as front:
        slow = asyncio.create_task(seconds_until_closed(front, HALF_A_HEAD, pause=pause))
        others = 0
        while not slow.done():
            assert (await front.ask("GET", "/health/live")).status == 200
            others += 1
            await asyncio.wait({slow}, timeout=0.05)
        lasted, answer = await slow
        within = within or 10.0
        assert within * 0.9 < lasted < within + 10
        assert answer == b"" or b" 408 " in answer
        assert others
        assert not front.books.heads


@pytest.mark.parametrize(
    ("idle", "pause"), [(0.5, 0.05), pytest.param(10.0, 1.0, marks=pytest.mark.long)], ids=["soon", "long"]
)
async def test_a_body_that_comes_by_the_byte_is_not_waited_for(gateway, idle, pause):
    """It never stands still, and yet it would keep its place for ever."""
    async with gateway(timeout={"idle": idle}) as front:
        head = b"POST /v1/books HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n"
        lasted, answer = await seconds_until_closed(front, head, pause=pause)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert idle * 0.9 < lasted < idle + 10


@pytest.mark.quiet
async def test_an_event_passes_at_once(gateway):
    """In less than 100 ms, each of them."""
    events: asyncio.Queue[float] = asyncio.Queue()
    heads = CHUNKED.replace(b"transfer", b"content-type: text/event-stream\r\ntransfer")

    async def script(peer) -> None:
        await peer.request()
        await peer.answer(heads)
        while True:
            await asyncio.sleep(0.01)
            events.put_nowait(monotonic())
            await peer.answer(b"9\r\ndata: 1\n\n\r\n")

    async with gateway(script) as front:
        reader, writer = await front.connect()
        writer.write(b"GET /v1/books/events HTTP/1.1\r\nHost: x\r\n\r\n")
        took = []
        for _ in range(20):
            await reader.readuntil(b"data: 1\n\n")
            took.append(monotonic() - await events.get())
        writer.transport.abort()
    assert sorted(took)[10] < 0.1


@pytest.mark.quiet
@pytest.mark.parametrize("total", [1.5, 2.0])
async def test_no_answer_in_time_is_told_in_time(gateway, total):
    """504 between 1.5 and 1.9 s: by the total, or by the one try that a total of 2 s allows."""
    async with gateway(answers(), timeout={"attempt": 1.5, "total": total}) as front:
        for _ in range(5):
            front.books.ended.clear()
            began = monotonic()
            reply = await front.ask("GET", "/v1/books")
            took = monotonic() - began
            await front.books.lets_go()
            assert reply.status == 504
            assert took > 1.49
            if took < 1.9:
                break
        else:
            pytest.fail(f"it took {took:.2f} s")


@pytest.mark.parametrize(
    ("trusted", "client"),
    [(["127.0.0.0/8", "10.0.0.0/8"], b"9.9.9.9"), (["127.0.0.0/8"], b"10.0.0.5"), ([], b"127.0.0.1")],
)
async def test_who_is_named_by_whom(gateway, trusted, client):
    async with gateway(trusted_proxies=trusted) as front:
        await front.ask("GET", "/v1/books", "X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.0.0.5")
        (head,) = front.books.heads
    assert b"\r\nx-forwarded-for: %b\r\n" % client in head
    assert head.count(b"6.6.6.6") == 0
