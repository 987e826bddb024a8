"""Ctrl-C and SIGTERM mean the same here: take everything back, and then end."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def as_one() -> None:
    """From now on SIGTERM is a Ctrl-C too; both even if whoever started us has told us to ignore them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


async def until_interrupted(work: Coroutine[Any, Any, object], told: Callable[[], None]) -> bool:
    """Do some work; whether somebody interrupted it.

    The first interruption cancels it, after which it is waited for; further ones change nothing about that.
    What goes wrong in it is raised.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            told()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await asyncio.wait({task})
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        as_one()
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    return interrupted


async def uninterrupted(work: Any) -> None:
    """Finish something even if we are cancelled meanwhile; the cancellation is passed on afterwards."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
