"""What is asked of the system when it is over: orders, their histories, the supplier's counts, the stock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.experiments.evidence import Effect, Fate, Stock
from bookstore.lab.load.outcome import ASKERS, patient
from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bookstore.lab.load.shop import Shop

PAGE = 100
LIST_SECONDS = 30.0
LOOK_SECONDS = 0.2
HELD_SECONDS = 45.0


class _Page(msgspec.Struct):
    class Row(msgspec.Struct):
        id: int
        status: str

    data: list[Row]
    total: int


class _History(msgspec.Struct):
    class Event(msgspec.Struct):
        to: str

    events: list[Event]


class _Effects(msgspec.Struct):
    orders: dict[str, Effect]


class _Stock(msgspec.Struct):
    quantity: int
    reserved: int


async def orders_of(orders: str, shop: Shop, acknowledged: Iterable[int]) -> dict[int, Fate] | None:
    """All orders of the shop's customer with their histories; acknowledged ones that aren't there, too."""
    try:
        async with Wire([orders]) as wire:
            statuses = await _listed(wire, shop.headers)
        fates = {number: Fate(status="missing") for number in set(acknowledged) - set(statuses)}
        left = list(statuses)

        async def asker() -> None:
            async with Wire([orders]) as wire:
                while left:
                    number = left.pop()
                    body = await patient(wire, f"/v2/orders/{number}/history")
                    events = msgspec.json.decode(body, type=_History).events if body else []
                    fates[number] = Fate(
                        status=statuses[number],
                        changes=[event.to for event in events if event.to != "Processing"],
                    )

        await asyncio.gather(*(asker() for _ in range(ASKERS)))
    except (TimeoutError, msgspec.DecodeError):
        return None
    return fates


async def _listed(wire: Wire, headers: Mapping[str, str]) -> dict[int, str]:
    """The customer's orders by number, with their states, page by page."""
    found: dict[int, str] = {}
    deadline = time.monotonic() + LIST_SECONDS
    while time.monotonic() < deadline:
        try:
            answer = await wire.send("GET", f"/v2/orders?limit={PAGE}&offset={len(found)}", None, headers)
        except (RefusedError, BrokenOffError):
            await asyncio.sleep(LOOK_SECONDS)
            continue
        if not answer.is_good:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        page = msgspec.json.decode(answer.body, type=_Page)
        found |= {row.id: row.status for row in page.data}
        if len(found) >= page.total or not page.data:
            return found
    raise TimeoutError("the orders couldn't be listed")


async def effects(control: str) -> dict[int, Effect] | None:
    """What the supplier counted, by order."""
    try:
        async with Wire([control]) as wire:
            body = await patient(wire, "/effects")
    except TimeoutError:
        return None
    decoded = msgspec.json.decode(body or b"{}", type=_Effects).orders
    return {int(number): effect for number, effect in decoded.items() if number.isdecimal()}


async def stock(books: str, shop: Shop) -> Stock | None:
    """The shop's book in the end. What is held for an order that never came is let go of after 30 s."""
    deadline = time.monotonic() + HELD_SECONDS
    try:
        async with Wire([books]) as wire:
            while True:
                body = await patient(wire, f"/inventory/{shop.book}")
                found = msgspec.json.decode(body or b"{}", type=_Stock)
                if not found.reserved or time.monotonic() > deadline:
                    break
                await asyncio.sleep(LOOK_SECONDS)
    except (TimeoutError, msgspec.DecodeError):
        return None
    return Stock(copies=shop.copies, quantity=found.quantity, reserved=found.reserved)
