"""What became of orders after their acknowledgement, asked of the orders service itself."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire, ask

if TYPE_CHECKING:
    from collections.abc import Iterable

DRAIN_SECONDS = 60.0
LOOK_SECONDS = 0.2
ASKERS = 8
NOT_FOUND = 404


class Fates(msgspec.Struct, kw_only=True):
    """How acknowledged orders stand."""

    states: dict[str, int]
    seconds: float


class _Order(msgspec.Struct):
    status: str


async def set_mode(control: str, mode: str, **parameters: float) -> None:
    """Tell the supplier how to behave from now on.

    Raises:
        ValueError: it doesn't know that mode.
    """
    answer = await ask(control, "POST", "/set_failure_mode", {"mode": mode, **parameters})
    if not answer.is_good:
        raise ValueError(f"the supplier knows no mode {mode!r}: {answer.body[:200].decode(errors='replace')}")


async def states_of(orders: str, ids: Iterable[int]) -> dict[int, str]:
    """The state of each order, `missing` where there is none; several are asked for at a time.

    Raises:
        TimeoutError: orders doesn't answer.
    """
    left, states = list(ids), dict[int, str]()
    decoder = msgspec.json.Decoder(_Order)

    async def asker(wire: Wire) -> None:
        while left:
            number = left.pop()
            answer = await patient(wire, f"/v2/orders/{number}")
            states[number] = "missing" if answer is None else decoder.decode(answer).status

    async with Wire([orders]) as wire:
        await asyncio.gather(*(asker(wire) for _ in range(ASKERS)))
    return states


async def patient(wire: Wire, path: str, seconds: float = 20.0) -> bytes | None:
    """The body at a path, asked for again while there is none; None for a 404.

    Raises:
        TimeoutError: that went on for too long.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = await wire.send("GET", path, seconds=5.0)
        except (RefusedError, BrokenOffError, TimeoutError):
            await asyncio.sleep(LOOK_SECONDS)
            continue
        if answer.is_good:
            return answer.body
        if answer.status == NOT_FOUND:
            return None
        await asyncio.sleep(LOOK_SECONDS)
    raise TimeoutError(f"{path} wasn't answered within {seconds:.0f} s")


async def fates_of(orders: str, ids: list[int], seconds: float = DRAIN_SECONDS) -> Fates:
    """How orders stand when all are final, or after `seconds`."""
    began = time.monotonic()
    states = await states_of(orders, ids)
    while "Processing" in states.values() and time.monotonic() - began < seconds:
        await asyncio.sleep(LOOK_SECONDS)
        open_ones = [number for number, state in states.items() if state == "Processing"]
        states |= await states_of(orders, open_ones)
    return Fates(states=dict(Counter(states.values())), seconds=round(time.monotonic() - began, 3))
