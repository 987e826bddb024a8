"""The client against a raw upstream: how a call fails, and what that says of the request."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from bookstore.service.upstream import Broken, ConnectFailed, TimedOut, Upstream

from .stage import HALF, HALF_CHUNKED, MEBI, OK, Peer, Stage, always, both_loops, closed_port, once, pieces


@contextlib.contextmanager
def full_queue():
    """A port that neither accepts nor refuses."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@both_loops
async def test_refused_means_that_nothing_was_sent():
    async with Upstream(f"http://127.0.0.1:{closed_port()}") as client:
        with pytest.raises(ConnectFailed, match="refused"):
            await client.request("POST", "/", body=b"{}")


@both_loops
async def test_a_connection_that_takes_too_long_means_that_nothing_was_sent():
    with full_queue() as port:
        async with Upstream(f"http://127.0.0.1:{port}", connect_timeout=0.05) as client:
            with pytest.raises(ConnectFailed, match=r"no connection within 0\.05 s"):
                await client.request("POST", "/", body=b"{}")


@both_loops
async def test_a_call_may_bring_times_of_its_own():
    with full_queue() as port:
        async with Upstream(f"http://127.0.0.1:{port}", connect_timeout=5) as client:
            with pytest.raises(ConnectFailed, match=r"no connection within 0\.05 s"):
                await client.stream("GET", "/", connect_timeout=0.05).__aenter__()
    async with (
        once(HALF).client(idle_timeout=30) as client,
        client.stream("GET", "/", idle_timeout=0.05) as answer,
    ):
        with pytest.raises(TimedOut):
            await answer.read(1000)


@both_loops
async def test_an_unknown_name_means_that_nothing_was_sent():
    async with Upstream("http://books.invalid", connect_timeout=5, timeout=10) as client:
        with pytest.raises(ConnectFailed):
            await client.request("GET", "/")


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", HALF, HALF_CHUNKED])
@both_loops
async def test_a_connection_that_dies_after_the_request_is_broken(sent, then):
    stage = once(sent, then=then)
    async with stage.client() as client:
        with pytest.raises(Broken, match="closed the connection"):
            await client.request("POST", "/", body=b"{}")
    assert len(stage.heads) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 15_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000,
    ],
    ids=range(12),
)
@both_loops
async def test_what_is_no_answer_is_broken(sent):
    async with once(sent).client() as client:
        with pytest.raises(Broken):
            await client.request("GET", "/")


@both_loops
async def test_an_answer_longer_than_the_bound_is_broken():
    async with always(OK).client(max_answer=1) as client:
        with pytest.raises(Broken, match="more than 1 bytes"):
            await client.request("GET", "/")


@both_loops
async def test_no_first_byte_in_time():
    stage = once()
    async with stage.client(timeout=0.05) as client:
        with pytest.raises(TimedOut, match="did not answer in time"):
            await client.request("GET", "/")
        await stage.ended.wait()
        with pytest.raises(TimedOut):
            await client.request("GET", "/", timeout=0.01)


@both_loops
async def test_the_timeout_ends_with_the_head_and_the_idle_timeout_watches_the_body():
    async with (
        once(HALF).client(timeout=0.05, idle_timeout=0.15) as client,
        client.stream("GET", "/") as answer,
    ):
        assert await anext(answer) == b"half"
        with pytest.raises(TimedOut, match="sent no more"):
            await anext(answer)


@both_loops
async def test_for_a_streamed_request_the_timeout_begins_when_it_was_sent():
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.1)  # longer than the timeout: the caller's own slowness is not the upstream's
        yield b"two"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.answer(OK)

    async with Stage(script).client(timeout=0.05) as client:
        assert (await client.request("POST", "/", body=body())).status == 200
    async with once().client(timeout=0.05) as client:
        with pytest.raises(TimedOut):
            await client.request("POST", "/", body=pieces(b"one"))


@both_loops
async def test_an_upstream_that_takes_nothing_times_out():
    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with Stage(script).client(idle_timeout=0.05) as client:
        with pytest.raises(TimedOut, match="took no more"):
            await client.request("POST", "/", body=pieces(*[bytes(MEBI)] * 64))


@both_loops
async def test_a_broken_body_gives_what_came_and_then_the_error():
    async with once(HALF, then="close").client() as client, client.stream("GET", "/") as answer:
        assert await anext(answer) == b"half"
        with pytest.raises(Broken):
            await anext(answer)
