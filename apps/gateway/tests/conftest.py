"""A gateway as it is served, in front of two raw services that keep what they get. All on real sockets."""

import asyncio
import contextlib
import json
import random
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from bookstore.gateway.app import create_app
from bookstore.gateway.settings import GatewaySettings
from bookstore.service.serve import server_of
from bookstore.service.testing import Wire

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories():
    return {"uvloop": uvloop.new_event_loop}


class Peer(Wire):
    """A raw service's end of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: "RawService"
    ) -> None:
        super().__init__(reader, writer)
        self._service = service

    async def request(self) -> bytes:
        """The next request, with its body if its length is said or it is chunked."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self._service.heads.append(head)
        self._service.heard.set()
        body = b""
        if b"\r\ncontent-length: " in head:
            body = await self.reader.readexactly(
                int(head.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
            )
        elif b"\r\ntransfer-encoding: chunked" in head:
            body = await self.reader.readuntil(b"0\r\n\r\n")
        self._service.bodies.append(body)
        return head


Script = Callable[[Peer], Awaitable[object]]


async def says_ok(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(OK)


class RawService:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.heard = asyncio.Event()
        self.ended = asyncio.Event()
        self.url = ""
        self.well = True
        self.asked = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["RawService"]:
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)

        def stop_listening() -> None:
            server.close()
            for task in tasks:
                task.cancel()

        self.stop_listening = stop_listening
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._is_asked_how_it_is(reader, writer)
                await self.script(Peer(reader, writer, self))
                writer.close()
                await writer.wait_closed()
            finally:
                writer.transport.abort()
                self.ended.set()

    async def _is_asked_how_it_is(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer health checks, which are no part of any script, as `well` tells."""
        while (head := await reader.readuntil(b"\n")).startswith(b"GET /health/live "):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(OK if self.well else OK.replace(b"200 OK", b"503 Away"))
        # What the script is to read, as if nobody had looked.
        reader._buffer[:0] = head

    async def lets_go(self) -> None:
        """The gateway has closed a connection, within a second."""
        async with asyncio.timeout(1):
            await self.ended.wait()


@dataclass
class Reply:
    """What the client got, up to the end of the connection."""

    raw: bytes
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def __post_init__(self) -> None:
        head, _, self.body = self.raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if self.raw:
            self.status = int(lines[0].split(" ")[1])
            self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def problem(self) -> dict:
        assert self.header("content-type") == "application/problem+json"
        return json.loads(self.body)


class Gateway:
    """A gateway that serves in this process, and the services behind it."""

    def __init__(
        self, port: int, admin_port: int, path: Path, services: dict[str, RawService], file: dict[str, Any]
    ) -> None:
        self.port = port
        self.admin_port = admin_port
        self.path = path
        self.services = services
        self.file = file
        self.books = services["books"]
        self.orders = services["orders"]
        self.accounts = services["accounts"]
        self.replicas = [each for name, each in services.items() if name.startswith("books")]

    def connect(self) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, raw: bytes) -> "Reply":
        """Send these bytes; take all that comes until the gateway closes the connection."""
        return await send_to(self.port, raw)

    async def settled(self) -> None:
        """Every target has been asked how it is."""
        await until(self.health, lambda health: "unknown" not in health)

    async def until(self, holds: Callable[["Reply"], bool]) -> None:
        """Ask for books until the answer is as it should be."""
        await until(lambda: self.ask("GET", "/v1/books"), holds)

    async def busy(self, count: int) -> None:
        """Wait until the replicas of books have had so many requests."""

        async def heads() -> int:
            return sum(len(each.heads) for each in self.replicas)

        await until(heads, lambda heads: heads >= count)

    async def health(self) -> list[str]:
        """What the gateway thinks of each target."""
        views = json.loads((await self.admin("GET", "/upstreams")).body)
        return [target["health"] for view in views for target in view["targets"]]

    async def until_health(self, *wanted: str) -> None:
        """Wait until the targets of books are so."""
        await until(self.health, lambda health: health[: len(wanted)] == list(wanted))

    async def metric(self, line: str) -> float:
        """One number of those that Prometheus gets."""
        text = (await self.ask("GET", "/metrics")).body.decode()
        return next(
            (float(each.split()[-1]) for each in text.splitlines() if each.startswith(line + " ")), 0.0
        )

    async def admin(self, method: str, target: str, *headers: str, body: bytes = b"") -> "Reply":
        """Ask the operators' side."""
        return await send_to(self.admin_port, framed(method, target, "localhost", *headers, body=body))

    async def send_admin(self, raw: bytes) -> "Reply":
        """Send these bytes to the operators' side."""
        return await send_to(self.admin_port, raw)

    async def put(self, file: Mapping[str, Any]) -> "Reply":
        """Give it another file."""
        return await self.admin(
            "PUT", "/config", "Content-Type: application/json", body=msgspec.json.encode(file)
        )

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> "Reply":
        return await self.send(framed(method, target, "shop.example", *headers, body=body))


async def until(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """Ask until the answer is as it should be; the test's own time limit ends a wait in vain."""
    while not holds(answer := await ask()):  # noqa: ASYNC110 - the condition is not ours to signal
        await asyncio.sleep(0.005)
    return answer


def framed(method: str, target: str, host: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def send_to(port: int, raw: bytes) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            received += piece
    writer.transport.abort()
    return Reply(bytes(received))


def free_port() -> int:
    """A free port below those that the system hands out, where nobody meets himself by calling too early."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


SERVICES = {
    "books": ("/v1/books", "/v2/books", "/v2/cache"),
    "orders": ("/v1/orders", "/v2/orders"),
    "accounts": ("/auth", "/v1/customers", "/.well-known/jwks.json"),
}
CALM = {"interval": 3600.0}
"""A health check that asks once: raw services write down what they are asked."""


def plain(name: str, prefix: str, **more) -> dict[str, Any]:
    return {"id": f"{name}{prefix.replace('/', '-')}", "prefix": prefix, "upstream": name, **more}


def config_of(services: Mapping[str, RawService], **changes) -> dict[str, Any]:
    """A file for these services. `upstream`, `route`, `timeout` and `retry` change all of their kind."""
    route = {
        "timeout": {"connect": 5.0, "attempt": 5.0, "total": 5.0, **changes.pop("timeout", {})},
        "retry": {"attempts": 1, **changes.pop("retry", {})},
        **changes.pop("route", {}),
    }
    upstream = {"health": CALM, **changes.pop("upstream", {})}
    file = {
        "upstreams": {
            name: {
                "targets": [{"url": each.url} for key, each in services.items() if key.startswith(name)],
                **upstream,
            }
            for name in SERVICES
        },
        "routes": [
            plain(name, prefix, **route) for name, prefixes in SERVICES.items() for prefix in prefixes
        ],
        **changes,
    }
    file["routes"] = [{**route, **each} for each in file["routes"]]
    return file


def named_scripts(books: Script | list[Script], orders: Script, accounts: Script) -> list[tuple[str, Script]]:
    """The services by name; further replicas of books are books2, books3."""
    several = books if isinstance(books, list) else [books]
    named = [("books" + (str(number) if number > 1 else ""), each) for number, each in enumerate(several, 1)]
    return [*named, ("orders", orders), ("accounts", accounts)]


def write(path: Path, file: Mapping[str, Any]) -> None:
    path.write_bytes(msgspec.json.encode(file))


@contextlib.asynccontextmanager
async def serving(
    books: Script | list[Script] = says_ok,
    orders: Script = says_ok,
    accounts: Script = says_ok,
    *,
    gone: Collection[str] = (),
    ill: Collection[str] = (),
    file: Callable[[dict[str, RawService]], dict[str, Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    header_timeout: float | None = None,
    **changes,
) -> AsyncIterator[Gateway]:
    """A gateway in front of three raw services, by a file that `config_of` or the test's own function makes.

    Of those that are `gone` nobody listens; those that are `ill` say so.
    """
    # pytest-timeout's signal doesn't reach a uvloop that waits: what hangs has to be ended from within.
    async with asyncio.timeout(20), contextlib.AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(RawService(script).running())
            for name, script in named_scripts(books, orders, accounts)
        }
        for at, name in enumerate(gone):
            services[name].url = f"http://127.0.0.1:{9 + at}"
        for name in ill:
            services[name].well = False
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "gateway.json")
        data = file(services) if file else config_of(services, **changes)
        write(path, data)
        port, admin_port = free_port(), free_port()
        given = {"gateway_config": str(path), "access_log": False, **(settings or {})}
        service = create_app(GatewaySettings(port=port, admin_port=admin_port, **given))
        service.header_timeout = header_timeout or service.header_timeout
        async with service.running():
            server = server_of(service)
            running = asyncio.ensure_future(server.serve())
            await _accepts(port)
            gateway = Gateway(port, admin_port, path, services, data)
            await gateway.settled()
            try:
                yield gateway
            finally:
                server.stop()
                await running


async def _accepts(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.transport.abort()
                return


@pytest.fixture
def raw_service():
    """`async with raw_service(script) as service: ...`"""
    return lambda script: RawService(script).running()


@pytest.fixture
def free_ports():
    """So many free ports."""
    return lambda count: [free_port() for _ in range(count)]


@pytest.fixture
def gateway():
    """`async with gateway(books=script, **settings) as front: ...`"""
    return serving
