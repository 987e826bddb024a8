"""The clients, each set up as a service would want it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta


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
