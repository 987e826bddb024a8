"""Import time, memory, and large bodies both ways."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator

from upstream.clients import CLIENTS
from upstream.machine import MEBI, SCRIPT, child, free_ports, resident_mib
from upstream.scene import Scene, read_all


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
            subprocess.run([sys.executable, SCRIPT, "transfer", name, f"http://127.0.0.1:{port}"], check=True)
    finally:
        bulk.kill()
        bulk.wait()
