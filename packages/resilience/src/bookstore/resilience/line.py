"""Those who wait for a rate limit, in the order in which they came."""

from asyncio import Future, get_running_loop
from collections import deque
from functools import partial

from bookstore.resilience.clock import SLACK, Clock, Handle
from bookstore.resilience.quota import Meter


class Waiter:
    """One call in line, with a place that is already charged."""

    __slots__ = ("cost", "due", "timer", "turn")
    due: float
    timer: Handle

    def __init__(self, cost: int, turn: "Future[None]") -> None:
        self.cost = cost
        self.turn = turn


class Line:
    """One line a key. Each place is a reservation of the meter, so a newcomer finds its room taken."""

    __slots__ = ("_lines", "_meter", "clock")

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self.clock = clock
        self._meter = meter
        self._lines: dict[str, deque[Waiter]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._lines.values()))

    async def stand(self, key: str, cost: int, delay: float) -> None:
        """Wait for a place that the meter has reserved. Cancelled, it goes to those behind."""
        line = self._lines.setdefault(key, deque())
        waiter = Waiter(cost, get_running_loop().create_future())
        line.append(waiter)
        self._arm(key, waiter, delay)
        try:
            await waiter.turn
        except BaseException:
            if waiter in line:  # else its turn had come: what is spent is spent
                self._leave(key, line, waiter)
            raise

    def _arm(self, key: str, waiter: Waiter, delay: float) -> None:
        waiter.due = self.clock.now() + delay
        waiter.timer = self.clock.call_at(waiter.due, partial(self._call, key, waiter))

    def _call(self, key: str, waiter: Waiter) -> None:
        self._remove(key, waiter)
        if not waiter.turn.done():
            waiter.turn.set_result(None)

    def _remove(self, key: str, waiter: Waiter) -> None:
        line = self._lines[key]
        line.remove(waiter)
        if not line:
            del self._lines[key]

    def _leave(self, key: str, line: deque[Waiter], waiter: Waiter) -> None:
        """Undo this place and those behind it, the latest that the meter knows; reserve those anew."""
        waiter.timer.cancel()
        if self.clock.now() > waiter.due + SLACK:
            # Its turn is past, though its timer is late. Others may have been charged since, and the meter
            # would take theirs for it: what is spent is spent.
            self._remove(key, waiter)
            return
        behind = list(line)[line.index(waiter) + 1 :]
        self._meter.give_back(key, waiter.cost + sum(other.cost for other in behind))
        self._remove(key, waiter)
        for other in behind:
            other.timer.cancel()
            self._arm(key, other, self._meter.reserve(key, other.cost, self.clock.now(), float("inf")))
