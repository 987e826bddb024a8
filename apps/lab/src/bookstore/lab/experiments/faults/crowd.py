"""Faults that customers make: far too many of them, and those who take for ever."""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from bookstore.lab.experiments.bench import BENCH, Bite
from bookstore.lab.load import history
from bookstore.lab.load.generator import Plan
from bookstore.lab.load.wire import loopback

OPENING = b"GET /v2/books HTTP/1.1\r\nHost: slow\r\nX-Slow: "
BYTE_SECONDS = 0.5


async def crowd(rate: float, seconds: float, mix: dict[str, float], door: str = "orders") -> None:
    """Customers at many times the usual rate, from a generator of its own."""
    bench = BENCH.get()
    if bench.shop is None:
        raise LookupError("nobody has opened the shop")
    name = f"crowd-{len(bench.histories) + 1}.jsonl"
    path = Path(bench.run_folder, name)
    plan = Plan(
        doors=[bench.url(door)],
        rate=rate,
        seconds=seconds,
        mix=mix,
        book=bench.shop.book,
        headers=dict(bench.shop.headers),
        run=secrets.token_hex(8),
    )
    process = await start_generator(plan, path)
    bench.histories.append(str(path))

    async def proof() -> tuple[bool, str]:
        sent = await asyncio.to_thread(lambda: len(history.read(path)))
        return sent >= plan.due // 2, f"{sent} of {plan.due} requests of the crowd were sent at {rate:g}/s"

    async def end() -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()

    bench.kept[name] = end
    bench.bites.append(Bite(f"a crowd at {rate:g}/s", proof))


async def start_generator(plan: Plan, path: Path) -> asyncio.subprocess.Process:
    """A generator as a process of its own, which Ctrl-C in our terminal doesn't reach."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "bookstore.lab.load",
        str(path),
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None  # noqa: S101 - for the type checker
    process.stdin.write(msgspec.json.encode(plan))
    process.stdin.close()
    return process


async def slow_clients(count: int, door: str = "gateway") -> None:
    """Connections that send a head byte by byte and never finish it."""
    bench = BENCH.get()
    host, port = loopback(bench.url(door))
    opened = 0
    cut_off = 0

    async def one() -> None:
        nonlocal opened, cut_off
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
                opened += 1
                writer.write(OPENING)
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(BYTE_SECONDS)
            except OSError:
                cut_off += 1
                await asyncio.sleep(BYTE_SECONDS)

    tasks = [asyncio.create_task(one()) for _ in range(count)]

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def proof() -> tuple[bool, str]:
        return opened >= count, f"{opened} slow connections were opened, {cut_off} cut off or refused"

    bench.kept["slow clients"] = end
    bench.bites.append(Bite(f"{count} slow clients", proof))
