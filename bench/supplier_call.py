"""What a call costs the supplier: its own server and hot path, beside the same call on Litestar and Granian.

    uv run bench/supplier_call.py

Both ports belong to one process with one journal, so one run has both: port 5003 is the supplier's own
server, the control port answers the same `/validate` through Litestar on Granian. CPU is the process's own.
"""

import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

CALLS, CONNECTIONS, ROUNDS = 10_000, 16, 5
TICK = os.sysconf("SC_CLK_TCK")
REQUEST = (
    b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: %d\r\n"
    b"Content-Length: %d\r\n\r\n%b"
)


async def call(port: int, orders):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for order in orders:
        body = b'{"order_id":%d,"items":[{"book_id":%d,"quantity":2}]}' % (order, order % 200 + 1)
        writer.write(REQUEST % (order, len(body), body))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def calls(port: int, first: int):
    orders = iter(range(first, first + CALLS))
    await asyncio.gather(*(call(port, orders) for _ in range(CONNECTIONS)))


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main():
    port = random.randrange(20_000, 31_000)  # noqa: S311
    with tempfile.TemporaryDirectory() as folder:
        given = {"PORT": str(port), "CONTROL_PORT": str(port + 1), "EFFECTS_FILE": f"{folder}/effects.jsonl"}
        with subprocess.Popen(
            [sys.executable, "-m", "bookstore.supplier"],
            env={**os.environ, **given, "DRAIN_ANNOUNCE": "0"},
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                measure(process.pid, port)
            finally:
                process.terminate()


def measure(pid: int, port: int):
    for each in (port, port + 1):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                uvloop.run(calls(each, each * 10**9))
                break
            time.sleep(0.1)
    costs = {"own": [], "litestar": []}
    for number in range(ROUNDS):
        for name, where in (("own", port), ("litestar", port + 1)):
            before = cpu(pid)
            uvloop.run(calls(where, (number * 2 + (where != port)) * CALLS + 1))
            costs[name].append((cpu(pid) - before) / CALLS * 1e6)
    for name, found in costs.items():
        span = f"{min(found):.0f} to {max(found):.0f}"
        print(f"{name:10} {statistics.median(found):6.0f} us of CPU a call  ({span})")
    ratio = statistics.median(costs["own"]) / statistics.median(costs["litestar"])
    print(f"own / litestar = {ratio:.2f}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
