"""A worker that is stopped again and again is still asked what became of its outcomes."""

import asyncio
import sys

import pytest

from bookstore.lab.experiments.faults import worker

STOPS = """
import asyncio, os, signal
from asyncio import StreamReader, StreamWriter

async def tell(reader: StreamReader, writer: StreamWriter) -> None:
    await reader.readuntil(b"\\r\\n\\r\\n")
    body = b'bookstore_queue_fenced_total{what="finish"} 3.0\\n'
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%b" % (len(body), body))

def stop(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(stop, loop)
    os.kill(os.getpid(), signal.SIGSTOP)

async def main() -> None:
    server = await asyncio.start_server(tell, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    stop(asyncio.get_running_loop())
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def who_stops_at_each_turn():
    """One that gets no further, each time that it is woken, than one turn of its loop."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STOPS, stdout=asyncio.subprocess.PIPE
    )
    port = int(await process.stdout.readline())
    yield process.pid, f"http://127.0.0.1:{port}"
    process.kill()
    await process.wait()


async def test_it_is_kept_awake_while_it_is_asked(who_stops_at_each_turn):
    async with asyncio.timeout(20):
        assert await worker._go_on(*who_stops_at_each_turn) == 3


async def test_who_never_says_so_has_not_been_fenced(who_stops_at_each_turn, monkeypatch):
    monkeypatch.setattr(worker, "DIES_WITHIN", 0.0)
    assert await worker._go_on(*who_stops_at_each_turn) == 0
