"""SQL of what watchers are told."""

from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from bookstore.contracts.orders import StateEvent
from bookstore.orders.life import CHANNEL
from bookstore.service.batch import Batch
from bookstore.service.database import Database, DatabaseUnavailable


class Kept(msgspec.Struct, frozen=True):
    """A change of an order's state; ids grow with each change of the order."""

    id: int
    state: StateEvent


class EventStore:
    """Reads events, and hears of new ones. Watchers that are woken together are answered together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after = Batch(self._fetch, width=1)

    async def after(self, order_id: int, event_id: int) -> list[Kept]:
        """The events of an order that come after this one, in their order.

        Raises:
            DatabaseUnavailable: ask again.
        """
        try:
            return await self._after.load((order_id, event_id)) or []
        except TimeoutError as error:
            raise DatabaseUnavailable("too many watchers wait") from error

    def changes(self) -> AsyncGenerator[str]:
        """The id of each order that changes, as `Database.listen` gives it."""
        return self._database.listen(CHANNEL)

    async def _fetch(self, asked: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], list[Kept]]:
        rows = await self._database.fetch(
            "SELECT asked.order_id, asked.event_id, e.id, e.to_state, e.at, e.cause"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS asked (order_id, event_id)"
            " JOIN order_events e ON e.order_id = asked.order_id AND e.id > asked.event_id ORDER BY e.id",
            ([order_id for order_id, _ in asked], [event_id for _, event_id in asked]),
        )
        found: dict[tuple[int, int], list[Kept]] = {}
        for order_id, event_id, number, status, at, cause in rows:
            state = StateEvent(order_id=order_id, status=status, at=at, cause=cause)
            found.setdefault((order_id, event_id), []).append(Kept(number, state))
        return found
