"""What the worker's log says of a loop that failed: who is away is no error of ours, and has no traceback."""

import asyncio

import pytest

from bookstore.orders.queue.link import NoUse
from bookstore.orders.queue.worker import Worker
from bookstore.resilience import CircuitOpen, TimedOut
from bookstore.service.database import DatabaseUnavailable
from bookstore.service.upstream import ConnectFailed


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (CircuitOpen("books", 0.5), "WARNING"),
        (ConnectFailed("127.0.0.1:8001: Connection refused"), "WARNING"),
        (TimedOut("books", 2.0), "WARNING"),
        (NoUse("status 500", "5xx"), "WARNING"),
        (DatabaseUnavailable("away"), "WARNING"),
        (LookupError("ours"), "ERROR"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_loop_that_failed_goes_on_and_says_why(caplog, error, level):
    caplog.set_level("INFO", "bookstore.orders.queue.worker")
    came_round = asyncio.Event()
    failures = iter([error])

    async def turn():
        for failure in failures:
            raise failure
        came_round.set()
        return 60.0

    worker = Worker({}, {"reconciliation": turn})
    worker.start()
    async with asyncio.timeout(20):
        await came_round.wait()
    await worker.leave(0.0)
    failed, goes_on = caplog.records
    assert (failed.levelname, bool(failed.exc_info)) == (level, level == "ERROR")
    assert (failed.loop, failed.cause) == ("reconciliation", str(error))
    assert goes_on.getMessage() == "going on"
