"""What the supplier was asked and what it did, by order: the count that proves "exactly once"."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from bookstore.contracts.supplier import Effects, OrderEffects
from bookstore.service.settings import SettingsError
from bookstore.supplier.journal import Call, Effect, Journal, JournalUnusable
from bookstore.supplier.model import Judgement


class _Count(msgspec.Struct, gc=False):
    first: float
    last: float
    calls: int = 0
    effects: int = 0


class KeyOfAnother(Exception):
    """The key has already named work for another order."""


class Tally:
    """Counts calls when they arrive, and effects once for each key; remembers each key's verdict.

    With a journal it goes on, once it is `kept`, where the last process stopped. Counting awaits nothing, so
    whatever comes at once is counted one after the other.
    """

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._orders: dict[str, _Count] = {}
        self._done: dict[str, Effect] = {}

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Have the journal open, and all that is in it counted.

        Raises:
            SettingsError: if the journal can't be used.
        """
        if self._journal is None:
            yield
            return
        try:
            self._recount(self._journal)
            yield
        except JournalUnusable as error:
            raise SettingsError([f"EFFECTS_FILE: {error}"]) from error
        finally:
            self._journal.close()

    def arrived(self, order: str) -> None:
        """Count a call, whatever becomes of it.

        Raises:
            OSError: if that can't be kept; then it isn't counted.
        """
        self._keep(Call(order, time.time()))

    def done(self, key: str, order: str) -> Effect | None:
        """What was done under `key`.

        Raises:
            KeyOfAnother: if that was for another order.
        """
        effect = self._done.get(key)
        if effect is not None and effect.order != order:
            raise KeyOfAnother
        return effect

    def do(self, key: str, order: str, judgement: Judgement) -> Effect:
        """Do it: from here on the verdict stands, whether its answer arrives or not.

        Raises:
            OSError: if that can't be kept; then nothing was done.
        """
        effect = Effect(key, order, judgement.status, judgement.reason)
        self._keep(effect)
        return effect

    def effects(self, order: str | None = None) -> Effects:
        """The counts of one order, if there was ever a call for it, or of all."""
        if order is None:
            chosen = self._orders
        else:
            chosen = {order: self._orders[order]} if order in self._orders else {}
        return Effects(
            orders={
                name: OrderEffects(
                    effects=count.effects,
                    calls=count.calls,
                    first_call_at=datetime.fromtimestamp(count.first, UTC),
                    last_call_at=datetime.fromtimestamp(count.last, UTC),
                )
                for name, count in chosen.items()
            }
        )

    def _recount(self, journal: Journal) -> None:
        for event in journal.open():
            if isinstance(event, Effect) and event.order not in self._orders:
                raise JournalUnusable(f"it has an effect for order {event.order}, but no call")
            self._count(event)

    def _keep(self, event: Call | Effect) -> None:
        if self._journal is not None:
            self._journal.write(event)
        self._count(event)

    def _count(self, event: Call | Effect) -> None:
        if isinstance(event, Call):
            count = self._orders.get(event.order)
            if count is None:
                count = self._orders[event.order] = _Count(event.at, event.at)
            count.calls += 1
            count.last = max(count.last, event.at)  # also when the clock was set back
        else:
            self._orders[event.order].effects += 1
            self._done[event.key] = event
