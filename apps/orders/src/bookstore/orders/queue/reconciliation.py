"""Reservations that no order has: whoever made one died, or lost its answer, before it kept its order.

Who may have a reservation is decided in one place, orders' table `reservations`, whose key is its id. An
order claims the id in the statement that keeps the order; the reconciliation claims it for nobody, and only
then releases it at books. Whichever claims first wins. So a request that was frozen in between and wakes up
an hour later can't keep an order whose stock was given away.
"""

from typing import Final

from bookstore.orders.queue.settlement import PAGE, Stock
from bookstore.service.database import Database

GRACE: Final = 30.0
"""Seconds that a reservation may wait for its order."""


class Reconciliation:
    """Compares what books holds with what orders have."""

    def __init__(self, database: Database, stock: Stock) -> None:
        self._database = database
        self._stock = stock

    async def round(self) -> int:
        """Look at all reservations that are old enough; gives how many were released.

        Dying anywhere in here is harmless: the next round, in this process or another, does the same again.
        """
        released = 0
        after: str | None = None
        while True:
            page = await self._stock.held(GRACE, after)
            for reservation_id in await self._without_order(page):
                await self._stock.release(reservation_id)
                released += 1
            if len(page) < PAGE:
                return released
            after = page[-1]

    async def _without_order(self, reservation_ids: list[str]) -> list[str]:
        """Those of these reservations that no order has, and from now on none can get."""
        if not reservation_ids:
            return []
        async with self._database.connection() as connection:
            # Two statements: only the second sees what was claimed while the first one ran.
            await connection.execute(
                "INSERT INTO reservations (id) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING",
                (reservation_ids,),
            )
            cursor = await connection.execute(
                "SELECT id FROM reservations WHERE id = ANY(%s) AND order_id IS NULL", (reservation_ids,)
            )
            return [reservation_id for (reservation_id,) in await cursor.fetchall()]
