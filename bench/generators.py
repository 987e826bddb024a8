"""Requests over many connections at once: by wrk where it is, else by this process."""

import asyncio
import random
import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass

from parts import BOOKS, PATIENCE

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}

GETS = """
math.randomseed(os.time())
local headers = {{{headers}}}
request = function()
    return wrk.format("GET", (string.gsub("{path}", "%%d", math.random({books}))), headers)
end
"""


@dataclass
class Result:
    rate: float
    p50: float
    p99: float
    errors: int
    cpu: float = 0
    """Microseconds of the process for each request."""


def by_wrk(port: int, path: str, connections: int, seconds: int, **headers: str) -> Result:
    """Each GET is of `path`, in which `%d` stands for any book."""
    listed = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    return wrk(port, GETS.format(path=path, books=BOOKS, headers=listed), connections, seconds)


def wrk(port: int, script: str, connections: int, seconds: int) -> Result:
    """What wrk tells of the requests that its `script` makes."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        command += ["--latency", "--timeout", "5s", "--script", file.name, f"http://127.0.0.1:{port}"]
        told = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=seconds + PATIENCE
        ).stdout

    def latency(percent: str) -> float:
        number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", told).groups()
        return float(number) * UNITS[unit]

    errors = sum(int(count) for count in re.findall(r"(?:connect|read|write|timeout) (\d+)", told))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])
    return Result(rate, latency("50"), latency("99"), errors + (int(refused[1]) if refused else 0))


def by_hand(port: int, path: str, connections: int, seconds: int, **headers: str) -> Result:
    """For machines without wrk. It takes a core itself, and so shows less than the service can do."""
    took: list[float] = []
    head_ends = "".join(f"{name}: {value}\r\n" for name, value in {"host": "x", **headers}.items()) + "\r\n"
    errors = 0

    async def connection(until: float) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while (started := time.perf_counter()) < until:
                book = random.randint(1, BOOKS)  # noqa: S311 - any book will do
                writer.write(f"GET {path.replace('%d', str(book))} HTTP/1.1\r\n{head_ends}".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]))
                took.append(time.perf_counter() - started)
                errors += not head.startswith(b"HTTP/1.1 200")
        finally:
            writer.close()

    async def main() -> None:
        nonlocal errors
        until = time.perf_counter() + seconds
        async with asyncio.timeout(seconds + PATIENCE):
            ends = await asyncio.gather(
                *(connection(until) for _ in range(connections)), return_exceptions=True
            )
        errors += sum(isinstance(end, BaseException) for end in ends)

    asyncio.run(main())
    percentiles = statistics.quantiles(took, n=100)
    return Result(len(took) / seconds, percentiles[49] * 1000, percentiles[98] * 1000, errors)


GENERATORS = {"wrk": by_wrk, "own": by_hand}
