"""Orders go in waves: those that arrive together share a call to books, and then a commit.

One wave may be at books while another is being kept. What becomes of one order is no matter of another's. One
that fails once books may have been asked for its copies has them let go, in the background.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self, TypeAlias

from bookstore.orders.afterwards import Afterwards
from bookstore.orders.books import Books
from bookstore.orders.holding import Asked, BooksUnavailable, Told, new_name
from bookstore.orders.idempotency.model import KeyInUse
from bookstore.orders.idempotency.store import ClaimLost
from bookstore.orders.model import NewOrder, Order, Receipt, priced
from bookstore.orders.pipelines import OutOfTime
from bookstore.orders.queue.model import STREAMS
from bookstore.orders.step import Step
from bookstore.orders.store import OrderStore, ReservationGone
from bookstore.resilience.deadline import forget_deadline
from bookstore.service.context import RequestContext, current
from bookstore.service.problem import Problem
from bookstore.service.tracing.queue import begin_message
from bookstore.service.tracing.span import Recording, together

logger = logging.getLogger(__name__)

MOST: Final = 500
"""Orders under way; for one more books is too busy."""
_FEW: Final = 16
_MANY: Final = 50
"""Orders in a wave: half of those that are under way, but not fewer than a call and a commit are worth."""
_LINGER: Final = 0.001
"""Seconds that a wave right after another waits for company."""
_SPARE: Final = 0.1
"""Seconds that an order waits for its copies beyond what books may take: books is to be known as slow."""
_TICK: Final = 0.001
"""Seconds by which a timer may ring early."""
_SERVER_ERROR = 500

Ending: TypeAlias = Order | Exception
"""What became of an order: it is kept, or this is why there is none."""


class Placement:
    """An order on its way.

    Args:
        wanted: How many of each book.
        customer_id: Whose order it is.
        receipt: What is to be kept of its answer.
        until: When nobody waits for it any more, in the loop's time.
        tell: Called once, when it is over; not at all if it was given up.
    """

    __slots__ = ("asked", "customer_id", "due", "new", "receipt", "request", "tell", "until", "wanted")

    def __init__(
        self,
        wanted: Mapping[int, int],
        customer_id: int | None,
        receipt: Receipt | None,
        *,
        request: RequestContext | None,
        until: float,
        tell: Callable[[Ending], None],
    ) -> None:
        self.wanted = wanted
        self.customer_id = customer_id
        self.receipt = receipt
        self.request = request
        self.until = until
        self.tell = tell
        self.due = until
        """When what it waits for now has taken too long."""
        self.asked: Asked | None = None
        """What books was asked for, if it was."""
        self.new: NewOrder | None = None
        """What is to be kept, once books holds its copies."""


class Waves:
    """Takes orders, and tells what became of each. Used with `async with`.

    Args:
        books: Holds copies, and tells their prices.
        orders: Keeps them.
        patience: Seconds that books may take.
    """

    def __init__(self, books: Books, orders: OrderStore, *, patience: float) -> None:
        self._books = books
        self._orders = orders
        self._patience = patience + _SPARE
        self._aboard: dict[Placement, None] = {}
        """Those that somebody waits for, the oldest first."""
        self._holding = Step(self._hold, self._size, linger=_LINGER)
        self._keeping = Step(self._keep, self._size, linger=0.0)
        self._timer: asyncio.TimerHandle | None = None
        """Rings when the first of them has waited for too long, or earlier."""
        self._afterwards = Afterwards()

    async def __aenter__(self) -> Self:
        await self._afterwards.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._holding.end()
        self._keeping.end()
        if self._timer is not None:
            self._timer.cancel()
        await self._afterwards.__aexit__()

    def join(self, placement: Placement) -> None:
        """Go with the next wave.

        Raises:
            BooksUnavailable: if too many orders are under way.
        """
        if len(self._aboard) >= MOST:
            raise BooksUnavailable
        placement.due = min(placement.until, asyncio.get_running_loop().time() + self._patience)
        self._aboard[placement] = None
        self._watch(placement.due)
        self._holding.join(placement)

    def give_up(self, placement: Placement) -> None:
        """Nobody waits for it any more: if it isn't on its way yet, it needn't go."""
        if placement not in self._aboard:
            return
        del self._aboard[placement]
        if placement.new is not None:
            placement.new.wanted = False
        if placement.asked is not None:
            self._afterwards.do(self._let_go(placement.asked.reservation_id))

    # -- the steps

    def _size(self) -> int:
        """One half is to be at books while the other is being kept."""
        return max(_FEW, min(_MANY, len(self._aboard) // 2))

    async def _hold(self, wave: Sequence[Placement]) -> None:
        going = self._going(wave)
        if not going:
            return
        asked = [Asked(new_name(), placement.wanted) for placement in going]
        for placement, each in zip(going, asked, strict=True):
            placement.asked = each
        seconds = max(placement.until for placement in going) - asyncio.get_running_loop().time()
        told: Sequence[Told | Exception]
        try:
            told = await self._books.hold(asked, seconds)
        except Exception as error:  # noqa: BLE001 - each of them is told
            told = [error] * len(going)
        for placement, each, outcome in zip(going, asked, told, strict=True):
            if placement not in self._aboard:
                continue  # and what it may hold is being let go
            if isinstance(outcome, Exception):
                self._fail(placement, outcome)
                continue
            placement.new = NewOrder(
                priced(placement.wanted, outcome),
                placement.customer_id,
                each.reservation_id,
                receipt=placement.receipt,
            )
            placement.due = placement.until
            self._keeping.join(placement)

    async def _keep(self, wave: Sequence[Placement]) -> None:
        going = [(placement, placement.new) for placement in self._going(wave) if placement.new is not None]
        if not going:
            return
        kept: Mapping[NewOrder, Ending] = {}
        failed: Exception | None = None
        messages: list[Recording] = []
        for placement, new in going:
            new.traceparent, message = begin_message(STREAMS["validate"], placement.request)
            if message is not None:
                messages.append(message)
        try:
            kept = await self._orders.keep([new for _, new in going])
        except Exception as error:  # noqa: BLE001 - each of them is told
            failed = error
        for message in messages:
            if failed is not None:
                message.fail_with(failed)
            message.end()
        for placement, new in going:
            if placement in self._aboard:
                outcome = failed or kept[new]
                if isinstance(outcome, Exception):
                    self._fail(placement, outcome)
                else:
                    del self._aboard[placement]
                    placement.tell(outcome)

    def _going(self, wave: Sequence[Placement]) -> list[Placement]:
        """Those that somebody still waits for; what is done is done in the name of the first, and for all."""
        forget_deadline()  # it is that of whoever came first
        going = [placement for placement in wave if placement in self._aboard]
        current.set(together([placement.request for placement in going if placement.request is not None]))
        return going

    # -- the ends

    def _fail(self, placement: Placement, error: Exception) -> None:
        if isinstance(error, Problem) and error.status < _SERVER_ERROR:
            del self._aboard[placement]  # who is refused holds nothing
        else:
            self.give_up(placement)
        if isinstance(error, ClaimLost):
            placement.tell(KeyInUse())
        elif isinstance(error, ReservationGone):
            placement.tell(OutOfTime())
        else:
            placement.tell(error)

    async def _let_go(self, reservation_id: str) -> None:
        """Let a reservation go, unless its order was kept after all and only the word of it was lost."""
        if await self._orders.give_up(reservation_id):
            await self._books.release(reservation_id)

    # -- the time

    def _watch(self, due: float) -> None:
        """One timer for all orders: one for each would cost more than what it looks after."""
        if self._timer is None or self._timer.when() > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time() + _TICK
        for placement in [each for each in self._aboard if each.due <= now]:
            if placement.until <= now:
                self._fail(placement, OutOfTime())
            else:
                self._books.too_late()
                self._fail(placement, BooksUnavailable())
        if self._aboard:
            self._watch(min(placement.due for placement in self._aboard))
