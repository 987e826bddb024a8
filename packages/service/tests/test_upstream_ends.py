"""The client against a raw upstream: what is let go, what is never heaped up, and whom it trusts."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator

import pytest

from bookstore.service.upstream import Broken, ConnectFailed, Upstream

from .stage import HALF, MEBI, OK, Peer, Stage, address, always, both_loops, once, whole


@pytest.mark.parametrize("sent", [b"", HALF], ids=["before the answer", "in mid-body"])
@both_loops
async def test_a_cancelled_call_closes_its_connection(sent):
    stage = once(sent)
    async with stage.client() as client:
        call = asyncio.create_task(whole(client))
        await stage.heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(1):
            await stage.ended.wait()


@both_loops
async def test_leaving_a_stream_early_closes_its_connection():
    stage = once(HALF)
    async with stage.client() as client:
        async with client.stream("GET", "/") as answer:
            assert await anext(answer) == b"half"
        async with asyncio.timeout(1):
            await stage.ended.wait()


@both_loops
async def test_an_answer_before_the_end_of_the_upload_stops_it():
    stopped = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    sent = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno"
    stage = once(sent)
    async with stage.client() as client:
        answer = await client.request("POST", "/", body=body())
        assert (answer.status, answer.body) == (413, b"no")
        assert stopped.is_set()
        await stage.ended.wait()


@both_loops
async def test_a_cancelled_upload_closes_its_source_and_its_connection():
    stopped = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0)
        finally:
            stopped.set()

    stage = once()
    async with stage.client() as client:
        call = asyncio.create_task(client.request("POST", "/", body=body()))
        await stage.heard.wait()
        call.cancel()
        await asyncio.wait({call})
        assert stopped.is_set()
        await stage.ended.wait()


@both_loops
async def test_closing_ends_calls_under_way_and_those_in_waiting():
    stage = once()
    async with stage.client(max_connections=1) as client:
        calls = [asyncio.create_task(client.request("GET", "/")) for _ in range(2)]
        await stage.heard.wait()
        await client.aclose()
        running, waiting = await asyncio.gather(*calls, return_exceptions=True)
        assert (type(running), type(waiting)) == (Broken, ConnectFailed)
        await client.aclose()
        with pytest.raises(RuntimeError, match="is closed"):
            await client.request("GET", "/")


# -- memory


@both_loops
async def test_a_body_that_nobody_reads_is_left_with_the_upstream():
    sent = 0
    full = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 * MEBI))
        for _ in range(1024):
            peer.writer.write(bytes(65536))
            sent += 65536
            try:
                async with asyncio.timeout(0.2):
                    await peer.writer.drain()
            except TimeoutError:
                full.set()
                await peer.writer.drain()

    async with Stage(script).client() as client, client.stream("GET", "/") as answer:
        await full.wait()
        assert sent < 32 * MEBI
        assert answer._connection._held < MEBI
        size = 0
        async for chunk in answer:
            size += len(chunk)
        assert size == 64 * MEBI


@both_loops
async def test_an_upload_that_nobody_takes_is_left_with_the_caller():
    given = 0
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1024):
            given += 65536
            yield bytes(65536)

    async def script(peer: Peer) -> None:
        await go_on.wait()
        await peer.request()
        await peer.reader.readexactly(64 * MEBI)
        await peer.answer(OK)

    async with Stage(script).client() as client:
        call = asyncio.create_task(client.request("POST", "/", body=body(), length=64 * MEBI))
        before = -1
        while before != given:  # until the upload stands still
            before = given
            await asyncio.sleep(0.1)
        assert given < 32 * MEBI
        go_on.set()
        assert (await call).status == 200


# -- https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    )
    try:
        subprocess.run(
            [*command.split(), "-addext", "subjectAltName=DNS:localhost"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return folder


@both_loops
async def test_https_is_verified(certificate):
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    ours = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    stage = always(OK)
    server = await asyncio.start_server(stage.serve, "127.0.0.1", 0, ssl=theirs)
    base = address(server).replace("http://127.0.0.1", "https://localhost")
    async with Upstream(base, tls=ours, connect_timeout=5) as client:
        assert (await client.request("GET", "/")).body == b"ok"
    async with Upstream(base, connect_timeout=5) as client:
        with pytest.raises(ConnectFailed):
            await client.request("GET", "/")
    server.close()
    await asyncio.wait_for(stage.ended.wait(), 5)
