"""The switch: which mode the supplier is in, since when, until when, and whom a change wakes."""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bookstore.contracts.supplier import CurrentMode, Down, FailureMode, Fault, Normal, current_mode
from bookstore.service.door import Door
from bookstore.service.port import PortUnavailable

logger = logging.getLogger(__name__)

NORMAL = Normal()
_PAUSE = 1.0


class Switch:
    """Holds the mode. It is in memory only: a supplier that starts again starts well."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._turning = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None
        self._ends_at: datetime | None = None
        self._set(NORMAL)

    def _set(self, mode: FailureMode) -> None:
        self.mode = mode
        self._since = datetime.now(UTC)
        seed = mode.seed if isinstance(mode, Fault) else None
        self._chance = random.Random(seed).random  # noqa: S311 - a draw, no secret
        self.changed = asyncio.Event()
        """Set when this mode is over."""

    @property
    def current(self) -> CurrentMode:
        """The mode as it is told to others."""
        return current_mode(self.mode, self._since, self._ends_at)

    async def turn(self, mode: FailureMode) -> None:
        """Change the mode: from here on it holds for every call that arrives, and those that hang wake up.

        Raises:
            PortUnavailable: if somebody else took the port while it was closed; it stays closed then.
        """
        async with self._turning:
            if not isinstance(mode, Down):
                await self._door.open()
            if self._timer is not None and self._timer is not asyncio.current_task():
                self._timer.cancel()
            self._timer = self._ends_at = None
            over = self.changed
            self._set(mode)
            if mode.lasting is not None:
                self._ends_at = self._since + timedelta(seconds=mode.lasting)
                self._timer = asyncio.create_task(self._end(mode.lasting))
            if isinstance(mode, Down):
                self._door.shut()
            over.set()
            logger.info("the mode has changed", extra={"mode": self.current.mode})

    def draw(self, chance: Callable[[], float] | None = None) -> FailureMode:
        """What the next call suffers: the mode, or, if that is meant for some calls only, perhaps nothing."""
        mode = self.mode
        if isinstance(mode, Fault) and mode.rate < 1 and (chance or self._chance)() >= mode.rate:
            return NORMAL
        return mode

    def stop(self) -> None:
        """Let what hangs go on, and let no mode end by itself any more."""
        if self._timer is not None:
            self._timer.cancel()
        over = self.changed
        self._set(NORMAL)
        over.set()

    async def _end(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while True:
            try:
                return await self.turn(NORMAL)
            except PortUnavailable as error:
                logger.warning("the port stays closed", extra={"cause": str(error)})
                await asyncio.sleep(_PAUSE)
