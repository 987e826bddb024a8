"""Each toxic does to the bytes what toxiproxy says it does, also to connections that are open already."""

import asyncio
import contextlib
import os
import sys
import time

import msgspec
import pytest

from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire, ask
from bookstore.lab.network.api import Switchboard
from bookstore.stores.ports import any_free

BIG = 40_000


@pytest.fixture
async def echo():
    """Says everything back."""

    async def serve(reader, writer):
        while piece := await reader.read(65536):
            writer.write(piece)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


class Board(Switchboard):
    """A switchboard with one proxy in front of the echo."""

    async def tell(self, method, path, body=None):
        return await self.answer(method, path, b"" if body is None else msgspec.json.encode(body))

    async def add(self, kind, **attributes):
        more = {name: attributes.pop(name) for name in ("stream", "toxicity") if name in attributes}
        await self.tell("POST", "/proxies/echo/toxics", {"type": kind, "attributes": attributes, **more})

    @property
    def toxic(self):
        return next(iter(self.proxies["echo"].toxics.values()))


@pytest.fixture
async def board(echo):
    made = Board()
    await made.tell("POST", "/proxies", {"name": "echo", "upstream": f"127.0.0.1:{echo}"})
    yield made
    await made.proxies["echo"].disable()


@pytest.fixture
async def line(board):
    """A connection through the proxy that was open before anything was done to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", board.proxies["echo"].listen)
    assert await said(reader, writer) == b"hello"
    yield reader, writer
    writer.close()


async def said(reader, writer, text=b"hello"):
    writer.write(text)
    return await reader.readexactly(len(text))


async def test_bytes_pass_and_the_end_passes_too(line):
    reader, writer = line
    assert await said(reader, writer, b"x" * BIG) == b"x" * BIG
    writer.write_eof()
    assert await reader.read() == b""


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_latency_delays_a_stream_but_not_each_piece_after_the_other(board, line, stream):
    await board.add("latency", latency=200, stream=stream)
    began = time.monotonic()
    await said(*line, b"x" * BIG)
    assert time.monotonic() - began >= 0.2
    assert board.toxic.bites


async def test_a_toxic_that_is_taken_away_is_gone(board, line):
    await board.add("timeout")
    await board.tell("DELETE", "/proxies/echo/toxics/timeout_downstream")
    assert await said(*line) == b"hello"


async def test_a_black_hole_swallows_and_stays_open(board, line):
    await board.add("timeout")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(said(*line), 0.2)
    assert board.toxic.bites
    # Bytes are missing: nothing sensible can follow in this connection.
    await board.tell("POST", "/reset")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await said(*line)


async def test_a_timeout_ends_idle_connections_too(board, line):
    await board.add("timeout", timeout=50)
    assert await line[0].read() == b""


async def test_a_reset_is_a_reset(board, line):
    await board.add("reset_peer")
    with pytest.raises(ConnectionResetError):
        await line[0].read()
    assert board.toxic.bites == 1


async def test_bandwidth_takes_its_time(board, line):
    await board.add("bandwidth", rate=100)
    began = time.monotonic()
    await said(*line, b"x" * BIG)
    assert time.monotonic() - began >= 0.35


async def test_slices_arrive_one_by_one_and_whole(board, line):
    reader, writer = line
    await board.add("slicer", average_size=10, size_variation=5, delay=1000)
    writer.write(b"0123456789" * 10)
    assert len(await reader.read(1000)) <= 15
    assert len(await reader.readexactly(80)) == 80


async def test_so_many_bytes_and_no_more(board):
    await board.add("limit_data", bytes=7)
    reader, writer = await asyncio.open_connection("127.0.0.1", board.proxies["echo"].listen)
    writer.write(b"0123456789")
    assert await reader.read() == b"0123456"
    writer.close()


async def test_nobody_suffers_at_toxicity_zero(board, line):
    await board.add("timeout", toxicity=0)
    assert await said(*line) == b"hello"
    assert board.toxic.bites == 0


async def test_closed_and_open_again_at_the_same_port(board, line):
    reader, _ = line
    port = board.proxies["echo"].listen
    await board.tell("POST", "/proxies/echo", {"enabled": False})
    assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await board.tell("POST", "/reset")
    connection = await asyncio.open_connection("127.0.0.1", port)
    assert await said(*connection) == b"hello"
    connection[1].close()


async def test_nobody_behind_it_is_felt_in_front_of_it(board):
    board.proxies["echo"].upstream = 1
    reader, writer = await asyncio.open_connection("127.0.0.1", board.proxies["echo"].listen)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.fixture
async def process(echo):
    """The proxies as the system runs them, with a way to the echo."""
    port, way = any_free(), any_free()
    environment = {**os.environ, "PORT": str(port), "WAYS": f"a->b={way}:{echo}"}
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "bookstore.lab.network", env=environment
    )
    started.url, started.way = f"http://127.0.0.1:{port}", way
    while True:
        try:
            await ask(started.url, "GET", "/proxies")
            break
        except RefusedError:
            await asyncio.sleep(0.02)
    yield started
    with contextlib.suppress(ProcessLookupError):
        started.kill()
    await started.wait()


async def test_over_http_until_it_is_told_to_end(process):
    reader, writer = await asyncio.open_connection("127.0.0.1", process.way)
    assert await said(reader, writer) == b"hello"
    toxic = {"type": "latency", "attributes": {"latency": 5}}
    made = await ask(process.url, "POST", "/proxies/a->b/toxics", toxic)
    assert made.json()["name"] == "latency_downstream"
    shown = (await ask(process.url, "GET", "/proxies")).json()
    assert shown["a->b"]["toxics"][0]["attributes"] == {"latency": 5}
    assert (await ask(process.url, "POST", "/reset")).status == 204
    process.terminate()
    assert await process.wait() == 0
    assert await reader.read() == b""
    with pytest.raises((RefusedError, BrokenOffError)):
        await ask(process.url, "GET", "/proxies")
    writer.close()


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
async def test_a_page_that_somebody_looks_at_changes_nothing(process, header):
    answer = await ask(process.url, "POST", "/proxies/a->b", {"enabled": False}, **{header: "http://x"})
    assert answer.status == 403
    assert (await ask(process.url, "GET", "/proxies")).json()["a->b"]["enabled"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/proxies", {"name": "far", "upstream": "10.0.0.1:80"}, 400),
        ("POST", "/proxies", {"name": "wide", "listen": "0.0.0.0:0", "upstream": "127.0.0.1:80"}, 400),
        ("POST", "/proxies", {"upstream": "127.0.0.1:80"}, 400),
        ("POST", "/proxies/nobody/toxics", {"type": "latency"}, 404),
        ("DELETE", "/proxies/nobody", None, 404),
        ("GET", "/nothing", None, 404),
    ],
)
async def test_what_is_refused(process, method, path, body, status):
    async with Wire([process.url]) as wire:
        assert (await wire.send(method, path, body)).status == status


@pytest.mark.parametrize(
    "toxic",
    [{"type": "gremlin"}, {"type": "latency", "attributes": {"latency": -1}}, {"type": "latency", "x": 1}],
)
async def test_a_toxic_that_makes_no_sense(board, toxic):
    with pytest.raises(msgspec.ValidationError):
        await board.tell("POST", "/proxies/echo/toxics", toxic)
