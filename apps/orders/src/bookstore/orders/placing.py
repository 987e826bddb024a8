"""How an order is placed: the steps, in their order, and what each of them leaves behind.

| step | writes | what is left if the process dies after it |
|---|---|---|
| claim of the key | a claim, where there is an Idempotency-Key | taken over 3 s later by the next request |
| reservation | copies are held under a new name, and priced | held by nobody, and let go 30 s later |
| commit | order, lines, event, job, hold, answer: all or nothing | the order, which the same key finds |

A step that fails undoes the steps before it, in the background: the caller isn't made to wait for that, and
what can't be undone now is undone as after a death.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self
from uuid import uuid4

import msgspec

from bookstore.orders.books import Books
from bookstore.orders.idempotency.model import Claim, Key, KeyInUse, KeyReused
from bookstore.orders.idempotency.store import ClaimLost, KeyStore
from bookstore.orders.model import Order, Receipt, priced
from bookstore.orders.pipelines import OutOfTime, promised
from bookstore.orders.store import OrderStore, ReservationGone
from bookstore.resilience.deadline import forget_deadline
from bookstore.service.problem import Problem

logger = logging.getLogger(__name__)

_LEAVE = 1.0
"""Seconds that undoing may take when the service leaves."""

_FORGET = 0.3
"""Seconds that a refused caller waits for its key to be free again."""

_SERVER_ERROR = 500


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to order: how many of each book."""

    wanted: Mapping[int, int]
    customer_id: int | None
    key: Key | None
    answer: Callable[[Order], bytes]
    """What the caller is told of the order."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is kept, and what its caller is told of it; `again` if that was told before."""

    order_id: int
    answer: bytes
    again: bool = False


class Placing:
    """Places orders. Used with `async with`, it ends what it does in the background when it is left.

    Args:
        orders: Keeps them.
        keys: Remembers what was answered.
        books: Holds copies, and tells their prices.
        admits: Raises a problem if there is no room for one more order.
    """

    def __init__(self, orders: OrderStore, keys: KeyStore, books: Books, admits: Callable[[], None]) -> None:
        self._orders = orders
        self._keys = keys
        self._books = books
        self._admits = admits
        self._undoing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._undoing:
            await asyncio.wait(self._undoing, timeout=_LEAVE)
        for task in self._undoing:
            task.cancel()

    async def place(self, wish: Wish, headers: Mapping[str, str]) -> Placed:
        """Place an order within the promise, and within what the caller has left by its own headers.

        Raises:
            Problem: why there is no order, or why nobody can tell whether there is one.
        """
        async with promised(headers):
            return await self._once(wish)

    async def _once(self, wish: Wish) -> Placed:
        if wish.key is None:
            return await self._order(wish, None)
        claim = Claim(wish.key, uuid4())
        try:
            given = await self._keys.claim(claim)
            if given:
                return Placed(order_id=given.order_id, answer=given.answer, again=True)
            return await self._order(wish, claim)
        except (KeyInUse, KeyReused):
            raise
        except BaseException as error:
            forgetting = self._undo(self._keys.forget(claim))
            if isinstance(error, Exception):  # who is refused may come again at once
                await asyncio.wait({forgetting}, timeout=_FORGET)
            raise

    async def _order(self, wish: Wish, claim: Claim | None) -> Placed:
        self._admits()
        reservation_id = str(uuid4())
        try:
            books = await self._books.reserve(reservation_id, wish.wanted)
            order = await self._orders.add(
                priced(wish.wanted, books),
                wish.customer_id,
                reservation_id=reservation_id,
                receipt=Receipt(claim, wish.answer) if claim else None,
            )
        except Problem as problem:
            if problem.status >= _SERVER_ERROR:  # else it was refused, and nothing is held
                self._undo(self._let_go(reservation_id))
            raise
        except BaseException as error:
            self._undo(self._let_go(reservation_id))
            if isinstance(error, ClaimLost):
                raise KeyInUse from error
            if isinstance(error, ReservationGone):
                raise OutOfTime from error
            raise
        return Placed(order_id=order.id, answer=wish.answer(order))

    async def _let_go(self, reservation_id: str) -> None:
        """Let a reservation go, unless its order was kept after all and only the word of it was lost."""
        if await self._orders.give_up(reservation_id):
            await self._books.release(reservation_id)

    def _undo(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(_at_best(work))
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)
        return task


async def _at_best(work: Coroutine[Any, Any, None]) -> None:
    """Work that others do later if it fails; it has no part in the caller's deadline."""
    forget_deadline()
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever it was, there is somebody who does it again
        logger.warning("could not undo a step of an order", extra={"cause": str(error)})
