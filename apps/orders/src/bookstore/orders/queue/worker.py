"""The worker: keeps relay, lanes and rounds going, whatever fails, and takes its leave in good order.

Each worker process has all of it. Nothing stops when one of several dies, because nobody is special; and a
relay is of use only where somebody listens to the bell. Nothing of it is in the service that takes the
orders: its answers don't wait for this work, and Redis is none of its concern.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

from bookstore.orders.queue.doorbell import EvictsAnything, Trouble
from bookstore.orders.queue.lane import Lane
from bookstore.orders.queue.link import is_away
from bookstore.service.database import DatabaseUnavailable

logger = logging.getLogger(__name__)

Round = Callable[[], Awaitable[float]]
"""One turn of something that goes on for ever; gives the seconds until the next."""

STUCK: Final = 15.0
"""Seconds without a turn of the reading after which the process counts as dead."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_READING_ENDS: Final = 3.0
_LAST_OUTCOMES: Final = 3.0


class Worker:
    """All that runs in a worker process.

    Args:
        lanes: What takes and finishes jobs.
        rounds: What else goes on, by name.
    """

    def __init__(self, lanes: Mapping[str, Lane], rounds: Mapping[str, Round]) -> None:
        self._lanes = lanes
        self._rounds = rounds
        self._leaving = asyncio.Event()
        self._taking: list[asyncio.Task[None]] = []
        self._finishing: list[asyncio.Task[None]] = []
        self._started = False

    def start(self) -> None:
        """Set everything going."""
        self._started = True
        for name, lane in self._lanes.items():
            self._taking.append(self._go(f"{name}.read", lane.read))
            self._taking.append(self._go(f"{name}.tidy", lane.tidy))
            self._finishing.append(self._go(f"{name}.finish", lane.finish))
            self._finishing.append(self._go(f"{name}.renew", lane.renew))
        self._taking += [self._go(name, each) for name, each in self._rounds.items()]

    def alive(self) -> bool:
        """Whether the reading comes round; a Redis that is away doesn't keep it from that."""
        return not self._started or all(monotonic() - lane.turned < STUCK for lane in self._lanes.values())

    async def leave(self, patience: float) -> None:
        """Take nothing more, finish what is in hand within `patience` seconds, give the rest back."""
        self._leaving.set()
        # A read that is cancelled could have been given entries that then are nobody's.
        await _ended(self._taking, _READING_ENDS)
        handing = [asyncio.create_task(lane.hand_back(patience)) for lane in self._lanes.values()]
        await _ended(handing, patience + _LAST_OUTCOMES)
        await _ended(self._finishing, 0.0)

    def _go(self, name: str, turn: Round) -> asyncio.Task[None]:
        return asyncio.create_task(self._keep(name, turn), name=name)

    async def _keep(self, name: str, turn: Round) -> None:
        """Turn after turn. Those of `_taking` end when the worker leaves, the others are cancelled."""
        failures = 0
        while True:
            try:
                pause = await turn()
            except Exception as error:  # noqa: BLE001 - told, and gone on from
                failures += 1
                _tell(name, error, failures)
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10))
                pause *= random.uniform(0.5, 1.0)  # noqa: S311 - only spreads load
            else:
                if failures:
                    logger.info("going on", extra={"loop": name, "failures": failures})
                failures = 0
            if self._leaving.is_set() and asyncio.current_task() in self._taking:
                return
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Pause; whoever takes jobs is woken when the worker leaves."""
        if seconds <= 0:
            return
        if self._leaving.is_set():
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()


async def _ended(tasks: Sequence[asyncio.Task[None]], patience: float) -> None:
    """Wait for tasks to end, and cancel those that don't in time."""
    if not tasks:
        return
    if patience:
        await asyncio.wait(tasks, timeout=patience)
    for task in tasks:
        task.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, Exception):
            logger.warning("not all could be given back", extra={"cause": str(end)})


def _tell(name: str, error: Exception, failures: int) -> None:
    """Once at the beginning of an outage, and then ever more rarely: a log that fills up is a failure too."""
    if failures & (failures - 1):
        return
    known = isinstance(error, (DatabaseUnavailable, EvictsAnything, *Trouble)) or is_away(error)
    logger.log(
        logging.WARNING if known else logging.ERROR,
        "a loop of the worker failed, and goes on",
        extra={"loop": name, "failures": failures, "cause": str(error) or type(error).__name__},
        exc_info=None if known else error,
    )
