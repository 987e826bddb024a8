"""Ends for what nobody waits for any more: tasks that lost, results that nobody will read."""

from asyncio import CancelledError, Task, wait
from collections.abc import Collection
from contextlib import suppress
from inspect import isawaitable
from typing import Any, Final

_reapers: Final[set["Task[None]"]] = set()  # a loop alone would not keep them alive


async def discard(value: Any) -> None:
    """Close a result that nobody will read, such as a streamed answer. If that fails, so be it."""
    close = getattr(value, "aclose", None) or getattr(value, "close", None)
    if callable(close):
        with suppress(Exception):
            done = close()
            if isawaitable(done):
                await done


async def finish(tasks: Collection["Task[Any]"]) -> None:
    """Wait until all of them have ended, even if this task is cancelled, which it is then afterwards."""
    cancelled: CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await wait(running)
        except CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def reap(tasks: Collection["Task[Any]"]) -> None:
    """Cancel tasks, wait for their end, and close what they brought nevertheless."""
    for task in tasks:
        if not task.cancelling():  # a second time would cut its cleaning up short
            task.cancel()
    try:
        await finish(tasks)
    except GeneratorExit:
        abandon(tasks)
        raise
    except CancelledError:
        await _discard_all(tasks)
        raise
    await _discard_all(tasks)


def abandon(tasks: Collection["Task[Any]"]) -> None:
    """Reap tasks from a coroutine that is being closed, and can't await any more."""
    for loop in {task.get_loop() for task in tasks}:
        if not loop.is_closed():
            reaper = loop.create_task(reap(tuple(tasks)))
            _reapers.add(reaper)
            reaper.add_done_callback(_reapers.discard)


async def _discard_all(ended: Collection["Task[Any]"]) -> None:
    for task in ended:
        if not task.cancelled() and task.exception() is None:
            await discard(task.result())
