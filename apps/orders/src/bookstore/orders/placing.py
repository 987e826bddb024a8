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
from collections.abc import Callable, Mapping
from typing import Self
from uuid import uuid4

import msgspec

from bookstore.orders.afterwards import Afterwards
from bookstore.orders.idempotency.model import Claim, Key, KeyInUse, KeyReused
from bookstore.orders.idempotency.store import KeyStore
from bookstore.orders.model import Order, Receipt
from bookstore.orders.pipelines import PROMISE, promised
from bookstore.orders.waves import Ending, Placement, Waves
from bookstore.resilience.deadline import current_deadline
from bookstore.service.context import current

_FORGET = 0.3
"""Seconds that a refused caller waits for its key to be free again."""


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
        waves: Takes them.
        keys: Remembers what was answered.
        admits: Raises a problem if there is no room for one more order.
    """

    def __init__(self, waves: Waves, keys: KeyStore, admits: Callable[[], None]) -> None:
        self._waves = waves
        self._keys = keys
        self._admits = admits
        self._afterwards = Afterwards()

    async def __aenter__(self) -> Self:
        await self._afterwards.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._afterwards.__aexit__()

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
            forgetting = self._afterwards.do(self._keys.forget(claim))
            if isinstance(error, Exception):  # who is refused may come again at once
                await asyncio.wait({forgetting}, timeout=_FORGET)
            raise

    async def _order(self, wish: Wish, claim: Claim | None) -> Placed:
        self._admits()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Ending] = loop.create_future()
        deadline = current_deadline()
        left = PROMISE.seconds if deadline is None else deadline.remaining()

        def tell(ending: Ending) -> None:
            if not ended.done():  # else it is being cut off
                ended.set_result(ending)

        placement = Placement(
            wish.wanted,
            wish.customer_id,
            Receipt(claim, wish.answer) if claim else None,
            request=current.get(),
            until=loop.time() + left,
            tell=tell,
        )
        self._waves.join(placement)
        try:
            ending = await ended
        except BaseException:  # it is cut off here
            self._waves.give_up(placement)
            raise
        if isinstance(ending, Exception):
            raise ending
        return Placed(order_id=ending.id, answer=wish.answer(ending))
