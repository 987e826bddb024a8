"""Server-sent events: an order's state now, then each change, until it is final."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter
from litestar.response import Stream

from bookstore.contracts.orders import StateEvent
from bookstore.orders.api import found, owner
from bookstore.orders.events.feed import Feed
from bookstore.orders.events.store import EventStore, Kept
from bookstore.orders.store import OrderStore
from bookstore.service.database import DatabaseUnavailable
from bookstore.service.health import Checkup
from bookstore.service.identity import PathId
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import identified

HEARTBEAT = 10.0
"""Seconds without an event after which a comment shows that the connection still stands."""

_AGAIN = 1.0
"""Seconds until the database is asked again that didn't answer."""

_OPEN = "Processing"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EVENT_ID = re.compile(r"[0-9]{1,18}")
_encode = msgspec.json.Encoder().encode

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", description="The last event that was seen: those after it are told first."
    ),
]


@get(
    "/v2/orders/{order_id:str}/events",
    tags=["v2"],
    before_request=identified,
    responses={
        200: ResponseSpec(
            StateEvent, media_type="text/event-stream", description="Events of type `state`.",
            generate_examples=False,
        ),
        204: ResponseSpec(None, description="All was seen, and nothing will follow: don't ask again."),
    },
)  # fmt: skip
async def watch(
    *,
    request: Asked,
    order_id: PathId,
    orders: Given[OrderStore],
    events: Given[EventStore],
    feed: Given[Feed],
    checkup: Given[Checkup],
    last_event_id: LastEventId = None,
) -> Response[Any]:
    """An order's state as an event stream: as it is now, then each change, to the final state."""
    order = await found(orders, order_id, owner(request))
    seen = int(last_event_id) if last_event_id and _EVENT_ID.fullmatch(last_event_id) else 0
    if seen and order.status != _OPEN and not await events.after(order.id, seen):
        return Response(None, status_code=204)
    told = _told(order.id, seen, events=events, feed=feed, leaving=checkup.leaving)
    await anext(told)  # it has its place, or is refused
    return Stream(told, media_type="text/event-stream", headers=_HEADERS)


async def _told(
    order_id: int, seen: int, *, events: EventStore, feed: Feed, leaving: asyncio.Event
) -> AsyncGenerator[bytes]:
    """What a watcher is sent: nothing, once there is room for it; then events and heartbeats.

    It ends with the final state, or when the service leaves: the watcher comes back to another process, with
    the last event that it has seen.
    """
    with feed.watch(order_id) as changed:
        yield b""
        yield b"retry: 1000\n\n"
        while True:
            changed.clear()
            new, patience = await _after(events, order_id, seen)
            for kept in new if seen else new[-1:]:
                yield _written(kept)
                seen = kept.id
            if leaving.is_set() or (new and new[-1].state.status != _OPEN):
                return
            if not await _either(changed, leaving, patience):
                yield b": still here\n\n"


async def _after(events: EventStore, order_id: int, seen: int) -> tuple[list[Kept], float]:
    """What is new, and how long to wait for more."""
    try:
        return await events.after(order_id, seen), HEARTBEAT
    except DatabaseUnavailable:
        return [], _AGAIN


async def _either(changed: asyncio.Event, leaving: asyncio.Event, patience: float) -> bool:
    waiting = {asyncio.ensure_future(each.wait()) for each in (changed, leaving)}
    try:
        done, _ = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return bool(done)


def _written(kept: Kept) -> bytes:
    return b"id: %d\nevent: state\ndata: %b\n\n" % (kept.id, _encode(kept.state))


handlers = [watch]
