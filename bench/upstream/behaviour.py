"""What each client does on real sockets: one function a question, one table of questions."""

# ruff: noqa: ARG001 - every script takes the same arguments

import asyncio
import gc
import os
import socket
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable

from upstream.clients import CLIENTS
from upstream.machine import MEBI
from upstream.scene import OK, FullQueue, Scene, outcome, plays, read_all, reset, scene


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
