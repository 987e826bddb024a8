# /// script
# requires-python = ">=3.11"
# dependencies = ["aiohttp>=3.13", "bookstore-service", "granian>=2.8", "pyreqwest>=0.15", "uvloop>=0.23"]
# [tool.uv.sources]
# bookstore-service = { path = "../packages/service", editable = true }
# ///
"""Which HTTP client should carry the traffic between services? Speed and behaviour, side by side.

    uv run bench/upstream_client.py speed       # requests a second behind one Granian process
    uv run bench/upstream_client.py behaviour   # what each client does on real sockets
    uv run bench/upstream_client.py footprint   # import time and memory

Read the ratios, not the absolute numbers: rounds are interleaved, so that all clients meet the same machine.
What came of it is docs/decisions/0005-upstream-http-client.md.
"""

# ruff: noqa: ARG001 - every script takes the same arguments

import argparse
import asyncio
import contextlib
import gc
import os
import random
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

BODY = (
    b'{"id":1,"title":"The Left Hand of Darkness","author":"Ursula K. Le Guin","price":"12.50","active":true}'
)
MEBI = 1 << 20


# -- the clients, each set up as a service would want it


class Reqwest:
    """pyreqwest: hyper in Rust, on its own thread."""

    def __init__(self, base: str, *, connect: float = 0.5, total: float = 2.0, idle: float = 30.0) -> None:
        from pyreqwest.client import ClientBuilder  # noqa: PLC0415 - only the measured client is loaded

        self.base, self.total, self.idle = base, total, idle
        builder = (
            ClientBuilder().no_proxy().follow_redirects(False).referer(False).default_cookie_store(False)
        )
        builder = builder.gzip(False).brotli(False).zstd(False).deflate(False)
        self.client = builder.connect_timeout(timedelta(seconds=connect)).build()

    def build(self, method: str, path: str, headers: list, body: object):
        request = self.client.request(method, self.base + path)
        if headers:
            request = request.headers([(name.decode(), value.decode()) for name, value in headers])
        if isinstance(body, bytes):
            request = request.body_bytes(body)
        elif body is not None:
            request = request.body_stream(body)
        return request

    async def request(self, method: str, path: str, headers=(), body=None) -> tuple[int, list, bytes]:
        async with asyncio.timeout(self.total):
            answer = await self.build(method, path, headers, body).build().send()
            return answer.status, list(answer.headers.items()), await answer.bytes()

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, headers=(), body=None):
        # A limit of 0 hands over the head and every chunk at once; the default waits for 64 KiB or the end.
        request = self.build(method, path, headers, body).streamed_read_buffer_limit(0).build_streamed()
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self.total):
                answer = await stack.enter_async_context(request)
            yield answer.status, list(answer.headers.items()), self.chunks(answer.body_reader)

    async def chunks(self, reader) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(self.idle):
                chunk = await reader.read_chunk()
            if chunk is None:
                return
            yield bytes(chunk)

    async def aclose(self) -> None:
        await self.client.close()


class Aiohttp:
    """aiohttp: asyncio transports, a C parser, on the application's own loop."""

    def __init__(self, base: str, *, connect: float = 0.5, total: float = 2.0, idle: float = 30.0) -> None:
        import aiohttp  # noqa: PLC0415 - only the measured client is loaded
        from yarl import URL  # noqa: PLC0415

        self.base, self.total, self.url = base, total, URL
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=256),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=idle),
        )

    def open(self, method: str, path: str, headers, body):
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        url = self.url(self.base + path, encoded=True)
        return self.session.request(method, url, headers=pairs, data=body, allow_redirects=False)

    async def request(self, method: str, path: str, headers=(), body=None) -> tuple[int, list, bytes]:
        async with asyncio.timeout(self.total), self.open(method, path, headers, body) as answer:
            return answer.status, list(answer.raw_headers), await answer.read()

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, headers=(), body=None):
        async with asyncio.timeout(self.total):
            answer = await self.open(method, path, headers, body)
        async with answer:
            yield answer.status, list(answer.raw_headers), answer.content.iter_any()

    async def aclose(self) -> None:
        await self.session.close()


class Ours:
    """bookstore.service.upstream: asyncio transports, llhttp's C parser."""

    def __init__(self, base: str, *, connect: float = 0.5, total: float = 2.0, idle: float = 30.0) -> None:
        from bookstore.service.upstream import Upstream  # noqa: PLC0415 - only the measured client is loaded

        self.client = Upstream(
            base,
            connect_timeout=connect,
            timeout=total,
            idle_timeout=idle,
            max_answer=1 << 30,
            max_connections=256,
        )

    async def request(self, method: str, path: str, headers=(), body=None) -> tuple[int, list, bytes]:
        answer = await self.client.request(method, path, headers=headers, body=body)
        return answer.status, answer.headers, answer.body

    @contextlib.asynccontextmanager
    async def stream(self, method: str, path: str, headers=(), body=None):
        async with self.client.stream(method, path, headers=headers, body=body) as answer:
            yield answer.status, answer.headers, answer

    async def aclose(self) -> None:
        await self.client.aclose()


CLIENTS = {"pyreqwest": Reqwest, "aiohttp": Aiohttp, "ours": Ours}


# -- speed


class Canned(asyncio.Protocol):
    """An upstream that costs next to nothing: one canned answer for every request head."""

    def __init__(self, size: int) -> None:
        body = BODY.ljust(size)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.answer = head.encode() + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.answer * data.count(b"\r\n\r\n"))


def serve_upstream(port: int) -> None:
    import uvloop  # noqa: PLC0415

    async def main() -> None:
        loop = asyncio.get_running_loop()
        small = await loop.create_server(lambda: Canned(200), "127.0.0.1", port)
        large = await loop.create_server(lambda: Canned(65536), "127.0.0.1", port + 1)
        print("ready", flush=True)
        async with small, large:
            await asyncio.Event().wait()

    uvloop.run(main())


def proxy_app(client_name: str, upstream: str):
    """Two ways of using the client in an ASGI app: a whole answer (/call) and a stream passed on (/proxy)."""
    state = {}

    async def app(scope, receive, send) -> None:
        if scope["type"] != "http":
            return
        client = state.get("client") or state.setdefault("client", CLIENTS[client_name](upstream))
        headers = [pair for pair in scope["headers"] if pair[0] not in (b"host", b"connection")]
        if scope["path"] == "/call":
            status, answer_headers, body = await client.request("GET", "/v1/books/1", headers)
            await send({"type": "http.response.start", "status": status, "headers": encoded(answer_headers)})
            await send({"type": "http.response.body", "body": body})
            return
        async with client.stream("GET", "/v1/books/1", headers) as (status, answer_headers, chunks):
            await send({"type": "http.response.start", "status": status, "headers": encoded(answer_headers)})
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    return app


def encoded(headers: list) -> list:
    return [pair if isinstance(pair[0], bytes) else (pair[0].encode(), pair[1].encode()) for pair in headers]


def serve_proxy(client_name: str, port: int, upstream: str) -> None:
    import uvloop  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415

    async def main() -> None:
        app = proxy_app(client_name, upstream)
        print("ready", flush=True)
        await Server(app, port=port, interface="asgi", websockets=False, http="1", log_enabled=False).serve()

    uvloop.run(main())


class Caller(asyncio.Protocol):
    """One keep-alive connection of the load: sends the next request when the answer is whole."""

    def __init__(self, path: str, times: list[float], done: asyncio.Future) -> None:
        self.request = f"GET {path} HTTP/1.1\r\nhost: bench\r\naccept: */*\r\n\r\n".encode()
        self.times, self.done, self.need = times, done, 0
        self.head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if not self.need:
            self.head += data
            cut = self.head.find(b"\r\n\r\n")
            if cut < 0:
                return
            head = bytes(self.head[:cut]).lower()
            if not head.startswith(b"http/1.1 200"):
                self.fail(head)
                return
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            self.need = length - (len(self.head) - cut - 4)
            self.head.clear()
        else:
            self.need -= len(data)
        if self.need == 0:
            self.times.append(time.perf_counter() - self.started)
            self.ask()

    def fail(self, head: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(head[:200].decode()))

    def connection_lost(self, _: Exception | None) -> None:
        self.fail(b"connection lost")


async def load(port: int, path: str, connections: int, seconds: float) -> list[float]:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    done = loop.create_future()
    callers = [
        (await loop.create_connection(lambda: Caller(path, times, done), "127.0.0.1", port))[0]
        for _ in range(connections)
    ]
    times.clear()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done, seconds)
    seen = times.copy()
    for transport in callers:
        transport.abort()
    return seen


def child(*args: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, __file__, *args], stdout=subprocess.PIPE)
    if process.stdout:
        process.stdout.readline()
    return process


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int | str = "self") -> float:
    with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / MEBI


def wait_port(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that are all free."""
    while True:
        first = random.randrange(20000, 30000)  # noqa: S311
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def speed(rounds: int, seconds: float, connections: int) -> None:
    import uvloop  # noqa: PLC0415

    first = free_ports(2 + 2 * len(CLIENTS))
    targets = [
        (name, size, first + 2 + 2 * i + j)
        for i, name in enumerate(CLIENTS)
        for j, size in enumerate(("200 B", "64 KiB"))
    ]
    processes = [child("serve-upstream", str(first))]
    try:
        pids = {}
        for client, size, port in targets:
            upstream = f"http://127.0.0.1:{first + (size == '64 KiB')}"
            processes.append(child("serve-proxy", client, str(port), upstream))
            pids[port] = processes[-1].pid
            wait_port(port)
        print(f"{rounds} rounds of {seconds:g} s, {connections} connections, load {os.getloadavg()[0]:.2f}")
        for path, size in (("/call", "200 B"), ("/proxy", "200 B"), ("/proxy", "64 KiB")):
            results: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in CLIENTS}
            pair = [(name, port) for name, its_size, port in targets if its_size == size]
            for _, port in pair:
                uvloop.run(load(port, path, connections, 1.0))
            for turn in range(rounds):
                for name, port in pair if turn % 2 else pair[::-1]:
                    before = cpu_seconds(pids[port])
                    times = sorted(uvloop.run(load(port, path, connections, seconds)))
                    cpu = (cpu_seconds(pids[port]) - before) / len(times) * 1e6
                    results[name].append(
                        (
                            len(times) / seconds,
                            times[len(times) // 2] * 1e3,
                            times[int(len(times) * 0.99)] * 1e3,
                            cpu,
                        )
                    )
            for name, port in pair:
                rate, middle, tail, cpu = (
                    statistics.median(column) for column in zip(*results[name], strict=True)
                )
                print(
                    f"{path:7} {size:7} {name:10} {rate:8,.0f} req/s   p50 {middle:5.2f} ms   "
                    f"p99 {tail:5.2f} ms   {cpu:4.0f} us CPU a request   {resident_mib(pids[port]):.0f} MiB"
                )
            for name in CLIENTS:
                if name == "aiohttp":
                    continue
                ratios = [
                    mine[0] / other[0] for mine, other in zip(results[name], results["aiohttp"], strict=True)
                ]
                print(
                    f"{path:7} {size:7} {name} / aiohttp: {statistics.median(ratios):.2f} "
                    f"({min(ratios):.2f} to {max(ratios):.2f})"
                )
    finally:
        for process in processes:
            process.kill()
            process.wait()


# -- behaviour


class Scene:
    """A raw upstream on a real socket: plays one script for each request and keeps what it was sent."""

    def __init__(
        self, script: Callable[["Scene", asyncio.StreamReader, asyncio.StreamWriter], Awaitable]
    ) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()
        self.heard = asyncio.Event()
        self.taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                self.heard.set()
                await self.script(self, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self.closed.set()
            writer.transport.abort()


@contextlib.asynccontextmanager
async def scene(script):
    stage = Scene(script)
    server = await asyncio.start_server(stage.serve, "127.0.0.1", 0, limit=MEBI)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", stage
    finally:
        server.close()


def plays(*pieces: bytes | float, end: str = "keep"):
    """A script: write bytes, wait seconds, then keep the connection, close it, reset it, or hang."""

    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
        if end == "close":
            writer.close()
            raise ConnectionResetError
        if end == "reset":
            reset(writer)
            raise ConnectionResetError
        if end == "hang":
            await reader.read()
            raise ConnectionResetError

    return script


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def outcome(awaitable: Awaitable) -> str:
    try:
        result = await awaitable
    except Exception as error:  # noqa: BLE001 - the kind of error is what is asked
        return type(error).__name__
    return f"{result[0]} {bytes(result[2])[:20]!r}" if isinstance(result, tuple) else repr(result)


async def read_all(client, method: str = "GET", path: str = "/", body=None):
    async with client.stream(method, path, body=body) as (status, headers, chunks):
        return status, headers, b"".join([chunk async for chunk in chunks])


async def pieces(count: int, size: int = 65536) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


class FullQueue:
    """A port that neither accepts nor refuses: its queue is full."""

    def __enter__(self) -> str:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        for one in (self.listener, *self.fillers):
            one.close()


async def refused(kind) -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return await with_client(
        kind, f"http://127.0.0.1:{port}", lambda client: outcome(client.request("GET", "/"))
    )


async def connect_timeout(kind) -> str:
    with FullQueue() as base:
        return await with_client(kind, base, lambda client: outcome(client.request("GET", "/")), connect=0.2)


async def with_client(kind, base: str, use, **options):
    client = kind(base, **options)
    try:
        return await use(client)
    finally:
        await client.aclose()


def failing(script, *, method: str = "POST", body: bytes | None = b"{}", **options):
    async def check(kind) -> str:
        async with scene(script) as (base, stage):
            answer = await with_client(
                kind, base, lambda client: outcome(client.request(method, "/", body=body)), **options
            )
            return f"{answer}, {len(stage.requests)} sent"

    return check


async def stale(kind, method: str, body: bytes | None) -> str:
    """The upstream closes after its first answer, at the moment in which the second request arrives."""

    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(stage.requests) == 2:
            reset(writer)
            raise ConnectionResetError
        writer.write(OK)

    async with scene(script) as (base, stage):

        async def use(client) -> str:
            await client.request("GET", "/")
            answer = await outcome(client.request(method, "/", body=body))
            return f"{answer}, sent {len(stage.requests) - 1} times"

        return await with_client(kind, base, use)


async def closed_idle(kind) -> str:
    async with scene(plays(OK, end="close")) as (base, _):

        async def use(client) -> str:
            results = []
            for _ in range(3):
                results.append(await outcome(client.request("POST", "/", body=b"{}")))
                await asyncio.sleep(0.05)
            return " / ".join(sorted(set(results)))

        return await with_client(kind, base, use)


async def cancelled(kind, script, *, body=None) -> str:
    async with scene(script) as (base, stage):

        async def use(client) -> str:
            task = asyncio.create_task(read_all(client, "POST" if body else "GET", body=body and body()))
            await stage.heard.wait()
            await asyncio.sleep(0.1)
            task.cancel()
            started = time.perf_counter()
            await asyncio.wait({task})
            try:
                async with asyncio.timeout(1.0):
                    await stage.closed.wait()
            except TimeoutError:
                return "NOT closed within 1 s"
            return f"closed after {(time.perf_counter() - started) * 1e3:.0f} ms"

        return await with_client(kind, base, use)


async def first_chunk(kind) -> str:
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\ndata: 1\r\n"
    async with scene(plays(answer, end="hang")) as (base, _):

        async def use(client) -> str:
            started = time.perf_counter()
            async with client.stream("GET", "/") as (_, _, chunks):
                async for chunk in chunks:
                    return f"{bytes(chunk)!r} after {(time.perf_counter() - started) * 1e3:.0f} ms"
            return "nothing"

        return await with_client(kind, base, use)


async def sent_headers(kind) -> str:
    async with scene(plays(OK)) as (base, stage):
        headers = [(b"x-a", b"1"), (b"x-a", b"2"), (b"x-name", "é".encode("latin-1")), (b"x-empty", b"")]
        done = await with_client(kind, base, lambda client: outcome(client.request("GET", "/", headers)))
        if not stage.requests:
            return f"refused: {done}"
        lines = stage.requests[0].split(b"\r\n")[1:-2]
        return ", ".join(line.decode("latin-1") for line in lines if not line.lower().startswith(b"host"))


async def sent_target(kind) -> str:
    target = "/b//c/../d/%2e%2e/%2F;p?a=1;b=2&a=%2f&&x='y'|{}^`[\\]"
    async with scene(plays(OK)) as (base, stage):
        done = await with_client(kind, base, lambda client: outcome(client.request("GET", target)))
        if not stage.requests:
            return f"refused: {done}"
        seen = stage.requests[0].split(b" ")[1].decode()
        return "byte for byte" if seen == target else f"CHANGED to {seen}"


async def injection(kind) -> str:
    async with scene(plays(OK)) as (base, stage):
        cases = [(b"x-a", b"1\r\nx-b: 2"), (b"x-a\r\nx-b", b"1"), (b"x a", b"1"), (b"x-a", b"1\0")]

        async def use(client) -> str:
            return " / ".join([await outcome(client.request("GET", "/", [header])) for header in cases])

        return f"{await with_client(kind, base, use)}, {len(stage.requests)} sent"


async def answer_headers(kind) -> str:
    head = b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-name: \xe9\r\nx-empty:\r\n"
    head += b"content-length: 0\r\n\r\n"
    async with scene(plays(head)) as (base, stage):

        async def use(client) -> str:
            try:
                _, headers, _ = await client.request("GET", "/")
                await client.request("GET", "/")
            except Exception as error:  # noqa: BLE001
                return f"FAILS: {type(error).__name__}: {error}"
            names = [name if isinstance(name, str) else name.decode() for name, _ in headers]
            kept = " and a cookie is KEPT" if b"cookie" in stage.requests[1].lower() else ""
            return f"{len(names)} of 5{kept}"

        return await with_client(kind, base, use)


async def untouched(kind) -> str:
    body = b"\x1f\x8b\x08\x00not really gzip"
    head = (
        b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
        % len(body)
    )
    async with scene(plays(head + body)) as (base, stage):
        os.environ["http_proxy"] = os.environ["HTTP_PROXY"] = "http://127.0.0.1:9"
        try:
            done = await with_client(kind, base, lambda client: outcome(client.request("GET", "/")))
        finally:
            del os.environ["http_proxy"], os.environ["HTTP_PROXY"]
        return f"{done}, {len(stage.requests)} sent"


async def bodiless(kind) -> str:
    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method = stage.requests[-1].split(b" ")[0]
        head = {
            b"HEAD": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            b"DELETE": b"HTTP/1.1 204 No Content\r\n\r\n",
            b"GET": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK,
            b"OPTIONS": b'HTTP/1.1 304 Not Modified\r\netag: "x"\r\n\r\n',
        }
        writer.write(head[method])

    async with scene(script) as (base, stage):

        async def use(client) -> str:
            results = [
                f"{method} {await outcome(client.request(method, '/'))}"
                for method in ("HEAD", "DELETE", "GET", "OPTIONS")
            ]
            return f"{', '.join(results)}; {stage.connections} connection(s)"

        return await with_client(kind, base, use)


def smuggled(answer: bytes):
    async def check(kind) -> str:
        async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer if len(stage.requests) == 1 else OK)

        async with scene(script) as (base, _):

            async def use(client) -> str:
                first = await outcome(client.request("POST", "/", body=b"{}"))
                await asyncio.sleep(0.05)
                return f"{first}, then {await outcome(client.request('POST', '/', body=b'{}'))}"

            return await with_client(kind, base, use)

    return check


async def stalled_upload(kind) -> str:
    """The upstream takes nothing: how much does the client ask of the body?"""
    given = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1600):
            given += 65536
            yield bytes(65536)

    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.sleep(30)

    async with scene(script) as (base, _):

        async def use(client) -> str:
            task = asyncio.create_task(read_all(client, "POST", body=body()))
            await asyncio.sleep(1.0)
            task.cancel()
            await asyncio.wait({task})
            return f"{given / MEBI:.1f} of 100 MiB asked for"

        return await with_client(kind, base, use, total=10)


async def stalled_download(kind) -> str:
    """The caller takes nothing: how much does the client take from the upstream?"""

    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (100 * MEBI))
        for _ in range(1600):
            writer.write(bytes(65536))
            await writer.drain()
            stage.taken += 65536

    async with scene(script) as (base, stage):

        async def use(client) -> str:
            async with client.stream("GET", "/") as (_, _, chunks):
                async for _ in chunks:
                    await asyncio.sleep(1.0)
                    return f"{stage.taken / MEBI:.1f} of 100 MiB sent"
            return ""

        return await with_client(kind, base, use)


async def loop_free(kind) -> str:
    """The longest time for which the loop stood still in 2,000 requests."""
    async with scene(plays(OK)) as (base, _):

        async def use(client) -> str:
            worst, last = 0.0, time.perf_counter()
            for _ in range(100):
                await asyncio.gather(*(client.request("GET", "/") for _ in range(20)))
                now = time.perf_counter()
                worst, last = max(worst, now - last), now
            return f"{worst * 1e3:.0f} ms for 20 requests at worst"

        return await with_client(kind, base, use)


HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
CHUNK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
CHECKS: list[tuple[str, Callable[[type], Awaitable[str]]]] = [
    ("refused", refused),
    ("no answer to connect", connect_timeout),
    ("reset after the request", failing(plays(end="reset"))),
    ("closed after the request", failing(plays(end="close"))),
    ("no first byte in time", failing(plays(end="hang"), total=0.3)),
    ("body stands still", failing(plays(HALF, end="hang"), idle=0.3, total=5)),
    ("closed in mid-body (length)", failing(plays(HALF, end="close"))),
    ("closed in mid-body (chunked)", failing(plays(CHUNK, end="close"))),
    ("reset in mid-body", failing(plays(CHUNK, 0.05, end="reset"))),
    ("closed while idle, then POST", closed_idle),
    ("stale at use, GET", lambda kind: stale(kind, "GET", None)),
    ("stale at use, PUT", lambda kind: stale(kind, "PUT", b"{}")),
    ("stale at use, POST", lambda kind: stale(kind, "POST", b"{}")),
    ("cancelled before the answer", lambda kind: cancelled(kind, plays(end="hang"))),
    ("cancelled in mid-body", lambda kind: cancelled(kind, plays(HALF, end="hang"))),
    ("first chunk of a stream", first_chunk),
    ("request headers on the wire", sent_headers),
    ("request target on the wire", sent_target),
    ("CR, LF, NUL, blank in headers", injection),
    ("answer headers", answer_headers),
    ("302, gzip, http_proxy set", untouched),
    ("HEAD, 204, 1xx, 304", bodiless),
    (
        "answer with length and chunked",
        smuggled(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ),
    (
        "answer with two lengths",
        smuggled(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokX"),
    ),
    ("two answers to one request", smuggled(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL")),
    ("upload nobody takes", stalled_upload),
    ("download nobody reads", stalled_download),
    ("loop", loop_free),
]


def behaviour(names: list[str], loop: str) -> None:
    import uvloop  # noqa: PLC0415

    run = uvloop.run if loop == "uvloop" else asyncio.run
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for title, check in CHECKS:
            for name in names:

                async def limited(check=check, name=name) -> str:
                    try:
                        async with asyncio.timeout(15):
                            return await check(CLIENTS[name])
                    except Exception as error:  # noqa: BLE001
                        return f"CHECK FAILED: {error!r}"

                print(f"{title:32} {name:10} {run(limited())}", flush=True)
        gc.collect()
    print(f"{'warnings':32} {'all':10} {[str(one.message) for one in caught] or 'none'}")


# -- footprint


async def transfer(name: str, base: str, count: int) -> None:
    """A large body each way, with the growth of the resident set at its highest."""
    client = CLIENTS[name](base, total=30)
    await read_all(client)
    before = resident_mib()
    highest = before

    async def body() -> AsyncIterator[bytes]:
        nonlocal highest
        for _ in range(count):
            yield b"x" * 65536
            highest = max(highest, resident_mib())

    started = time.perf_counter()
    async with client.stream("POST", "/", body=body()) as (_, _, chunks):
        async for _ in chunks:
            pass
    middle = time.perf_counter()
    got = 0
    async with client.stream("GET", f"/{count * 65536}") as (_, _, chunks):
        async for chunk in chunks:
            got += len(chunk)
            highest = max(highest, resident_mib())
    done = time.perf_counter()
    size = count * 65536 / MEBI
    await client.aclose()
    print(
        f"{name:10} {size:.0f} MiB up {size / (middle - started):5.0f} MiB/s, "
        f"down {got / MEBI / (done - middle):5.0f} MiB/s, "
        f"resident set {before:.0f} MiB, at most {highest - before:+.1f} MiB"
    )


def serve_bulk(port: int) -> None:
    import uvloop  # noqa: PLC0415

    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = stage.requests.pop().split(b" ", 2)
        if method == b"POST":
            while (size := int((await reader.readline()).strip(), 16)) > 0:
                await reader.readexactly(size + 2)
            await reader.readline()
        length = int(target[1:] or 0)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % length)
        for _ in range(length // 65536):
            writer.write(bytes(65536))
            await writer.drain()

    async def main() -> None:
        server = await asyncio.start_server(Scene(script).serve, "127.0.0.1", port, limit=MEBI)
        print("ready", flush=True)
        await server.serve_forever()

    uvloop.run(main())


def footprint(names: list[str]) -> None:
    modules = {
        "pyreqwest": "import pyreqwest.client",
        "aiohttp": "import aiohttp",
        "ours": "from bookstore.service.upstream import Upstream",
    }
    measure = (
        "import time,asyncio,resource as r;a=r.getrusage(0).ru_maxrss;s=time.perf_counter();{};"
        "print((time.perf_counter()-s)*1e3,(r.getrusage(0).ru_maxrss-a)/1024)"
    )
    for name in names:
        runs = [
            subprocess.run(
                [sys.executable, "-c", measure.format(modules[name])],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            for _ in range(7)
        ]
        took, grew = (statistics.median(float(run[column]) for run in runs) for column in (0, 1))
        print(f"{name:10} import {took:.0f} ms, {grew:.0f} MiB on top of asyncio")
    port = free_ports(1)
    bulk = child("serve-bulk", str(port))
    try:
        for name in names:
            subprocess.run(
                [sys.executable, __file__, "transfer", name, f"http://127.0.0.1:{port}"], check=True
            )
    finally:
        bulk.kill()
        bulk.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("speed")
    command.add_argument("--rounds", type=int, default=7)
    command.add_argument("--seconds", type=float, default=3.0)
    command.add_argument("--connections", type=int, default=32)
    command = commands.add_parser("behaviour")
    command.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    command.add_argument("--client", choices=CLIENTS, action="append")
    command = commands.add_parser("footprint")
    command.add_argument("--client", choices=CLIENTS, action="append")
    for name, arguments in INTERNAL.items():
        command = commands.add_parser(name)
        for argument in arguments:
            command.add_argument(argument)
    options = parser.parse_args()
    match options.command:
        case "speed":
            speed(options.rounds, options.seconds, options.connections)
        case "behaviour":
            behaviour(options.client or list(CLIENTS), options.loop)
        case "footprint":
            footprint(options.client or list(CLIENTS))
        case "serve-upstream":
            serve_upstream(int(options.port))
        case "serve-proxy":
            serve_proxy(options.client, int(options.port), options.upstream)
        case "serve-bulk":
            serve_bulk(int(options.port))
        case "transfer":
            asyncio.run(transfer(options.client, options.base, 3200))


INTERNAL = {
    "serve-upstream": ["port"],
    "serve-proxy": ["client", "port", "upstream"],
    "serve-bulk": ["port"],
    "transfer": ["client", "base"],
}

if __name__ == "__main__":
    main()
