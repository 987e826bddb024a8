"""Requests a second, and CPU a request, behind one Granian process."""

# ruff: noqa: ARG001 - an ASGI app takes what it is given

import asyncio
import contextlib
import os
import statistics
import time

from upstream.clients import CLIENTS
from upstream.machine import child, cpu_seconds, free_ports, resident_mib, wait_port

BODY = (
    b'{"id":1,"title":"The Left Hand of Darkness","author":"Ursula K. Le Guin","price":"12.50","active":true}'
)


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
