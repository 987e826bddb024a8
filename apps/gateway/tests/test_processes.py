"""Gateways as processes of their own: what they share, how they end, what they take."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter

import msgspec
import psutil
import pytest

from bookstore.service.testing import soon

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
MEBI = 1 << 20


class Process:
    """`python -m bookstore.gateway` with a file of its own."""

    def __init__(self, process, port, path):
        self.process = process
        self.port = port
        self.path = path

    @property
    def memory(self):
        return psutil.Process(self.process.pid).memory_info().rss

    async def get(self, target="/v1/books", header="Accept: */*"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n".encode())
        said = await reader.read()
        writer.transport.abort()
        return said

    async def status(self, target="/v1/books"):
        return int((await self.get(target)).split(b" ", 2)[1])

    async def ended(self):
        return await self.process.wait()


@pytest.fixture
def started(tmp_path, free_ports):
    """`async with started(file, **environment) as process`."""

    @contextlib.asynccontextmanager
    async def start(file, **environment):
        port, admin_port = free_ports(2)
        path = tmp_path / f"{port}.json"
        path.write_bytes(msgspec.json.encode(file))
        settings = {
            "PORT": port,
            "ADMIN_PORT": admin_port,
            "GATEWAY_CONFIG": path,
            "ACCESS_LOG": "false",
            "DRAIN_ANNOUNCE": "0.2",
            **environment,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bookstore.gateway",
            env={**os.environ, **{name: str(value) for name, value in settings.items()}},
            stdout=asyncio.subprocess.DEVNULL,
        )
        running = Process(process, port, path)
        try:
            async with asyncio.timeout(30):
                await _until_it_answers(running)
                yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    return start


async def _until_it_answers(running):
    while True:
        with contextlib.suppress(OSError, IndexError):
            if await running.status("/health/live") == 200:
                return
        await asyncio.sleep(0.02)


def file(*targets, **route):
    return {
        "upstreams": {
            "books": {"targets": [{"url": target.url} for target in targets], "health": {"interval": 0.5}}
        },
        "trusted_proxies": ["127.0.0.1"],
        "limits": {"hundred": {"quota": 100, "per": 60, "key": "caller"}},
        "routes": [
            {"id": "books", "prefix": "/v1/books", "upstream": "books", **route},
            {"id": "catalog", "prefix": "/catalog", "path": "strip", "upstream": "books", "limit": "hundred"},
        ],
    }


async def says_ok(peer):
    while await peer.request():
        await peer.answer(OK)


async def test_two_gateways_and_one_redis(started, raw_service, redis_url):
    async with raw_service(says_ok) as service:
        shared = {"REDIS_URL": redis_url, "GATEWAY_REPLICAS": 2}
        async with started(file(service), **shared) as one, started(file(service), **shared) as two:
            for number in range(1, 6):
                who = f"X-Forwarded-For: 192.0.2.{number}"
                replies = []
                for _ in range(11):
                    replies += await asyncio.gather(
                        *(each.get("/catalog/drugs", who) for each in (one, two) * 5)
                    )
                if not any(b"x-ratelimit-mode" in reply for reply in replies):
                    break  # Redis has answered all of them in time: machines may be busy
            assert Counter(reply.split(b" ", 2)[1] for reply in replies) == {b"200": 100, b"429": 10}


async def test_its_last_requests_are_answered(started, raw_service):
    go = asyncio.Event()

    async def waits(peer):
        while await peer.request():
            await go.wait()
            await peer.answer(OK)

    timeout = {"attempt": 20.0, "total": 20.0}
    async with raw_service(waits) as service, started(file(service, timeout=timeout)) as gateway:
        running = [asyncio.create_task(gateway.get()) for _ in range(20)]
        await soon(lambda: len(service.heads) == 20)
        gateway.process.send_signal(signal.SIGTERM)
        while await gateway.status("/health/ready") != 503:
            pass
        last = asyncio.create_task(gateway.get())  # it is still served while it says that it leaves
        await soon(lambda: len(service.heads) == 21)
        with contextlib.suppress(OSError):
            while True:
                # Until connections are refused.
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.transport.abort()
                await asyncio.sleep(0.01)
        go.set()
        replies = await asyncio.gather(*running, last)
        assert Counter(reply.split(b" ", 2)[1] for reply in replies) == {b"200": 21}
        assert b"connection: close" in replies[-1]
        assert await gateway.ended() == 0


async def test_it_ends_under_load(started, raw_service):
    """Clients that keep their connections are sent elsewhere; until then each of them is answered."""
    statuses = Counter()

    async def ask_on(gateway):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            except OSError:
                return
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = b""
                while b"connection: close" not in head:
                    writer.write(b"GET /v1/books HTTP/1.1\r\nHost: x\r\n\r\n")
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert await reader.readexactly(2) == b"ok"
                    statuses[int(head.split(b" ", 2)[1])] += 1
            writer.transport.abort()

    async with raw_service(says_ok) as service, started(file(service)) as gateway:
        asking = [asyncio.create_task(ask_on(gateway)) for _ in range(8)]
        await soon(lambda: statuses[200] >= 200)
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)
        assert set(statuses) == {200}
        assert statuses[200] == len(service.heads)
        assert await gateway.ended() == 0


async def test_a_signal_reads_the_file_again(started, raw_service):
    async with raw_service(says_ok) as service, started(file(service)) as gateway:
        assert await gateway.status("/new") == 404
        good = file(service)
        good["routes"].append({"id": "new", "prefix": "/new", "upstream": "books"})
        gateway.path.write_bytes(b"{")  # a file that is just being written, say
        gateway.process.send_signal(signal.SIGHUP)
        while b'bookstore_gateway_reloads_total{outcome="refused"} 1.0' not in await gateway.get("/metrics"):
            pass
        assert await gateway.status() == 200
        gateway.path.write_bytes(msgspec.json.encode(good))
        gateway.process.send_signal(signal.SIGHUP)
        while await gateway.status("/new") != 200:
            pass


async def test_a_replica_that_is_killed_under_load(started, raw_service, free_ports):
    """A process of its own, so that the kernel ends its connections as it does for any killed process."""
    (port,) = free_ports(1)
    async with raw_service(says_ok) as other, replica(port) as victim:
        victim.url = f"http://127.0.0.1:{port}"
        async with started(file(other, victim)) as gateway:
            statuses = Counter()
            stop = asyncio.Event()

            async def ask_on():
                while not stop.is_set():
                    statuses[await gateway.status()] += 1

            asking = [asyncio.create_task(ask_on()) for _ in range(8)]
            await soon(lambda: statuses[200] >= 300)
            victim.kill()
            gone = f'bookstore_gateway_target_up{{target="{victim.url}",upstream="books"}} 0.0'.encode()
            async with asyncio.timeout(1):
                while gone not in await gateway.get("/metrics"):
                    pass
            before = statuses[200]
            await soon(lambda: statuses[200] >= before + 100)
            stop.set()
            await asyncio.gather(*asking)
            assert set(statuses) == {200}


@contextlib.asynccontextmanager
async def replica(port):
    code = (
        "import http.server as h\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    protocol_version = 'HTTP/1.1'\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.send_header('content-length', '2'); self.end_headers()\n"
        "        self.wfile.write(b'ok')\n"
        "    def log_message(self, *_): pass\n"
        f"h.ThreadingHTTPServer(('127.0.0.1', {port}), H).serve_forever()\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.transport.abort()
                    break
                await asyncio.sleep(0.01)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("way", ["up", "down"])
async def test_memory_does_not_grow_with_a_body(started, raw_service, way):
    size = 200 * MEBI
    peak = 0

    async def slow(peer):
        """Takes, or gives, in pieces, and looks at the gateway's memory between them."""
        nonlocal peak
        while True:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            taken = 0
            while way == "up" and taken < size and b"PUT" in head:
                taken += len(await peer.reader.read(MEBI))
                peak = max(peak, gateway.memory)
            if way == "down":
                await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
                for _ in range(200):
                    await peer.answer(bytes(MEBI))
            else:
                await peer.answer(OK)

    async with raw_service(slow) as service, started(file(service, max_body=0)) as gateway:
        before = gateway.memory
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = f"{'PUT' if way == 'up' else 'GET'} /v1/books HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        writer.write((head + (f"Content-Length: {size}\r\n\r\n" if way == "up" else "\r\n")).encode())
        if way == "up":
            for _ in range(200):
                writer.write(bytes(MEBI))
                await writer.drain()
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        else:
            await reader.readuntil(b"\r\n\r\n")
            taken = 0
            while piece := await reader.read(MEBI):
                taken += len(piece)
                peak = max(peak, gateway.memory)
            assert taken == size
        writer.transport.abort()
        assert peak - before < 20 * 10**6
