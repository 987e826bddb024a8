"""The events, over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

from litestar import Response, get
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter
from litestar.response import Stream

from bookstore.contracts.monitor import Change, Picture
from bookstore.monitor.events.feed import Feed, written
from bookstore.monitor.health.watch import Watch
from bookstore.monitor.sessions.doorman import Person
from bookstore.monitor.sessions.guard import no_foreign_page
from bookstore.service.docs import problems
from bookstore.service.health import Checkup
from bookstore.service.problem import Asked
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import Together, ops_only

HEARTBEAT = 10.0
"""Seconds without an event after which a comment shows that the connection still stands."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", description="The last change that was seen: those after it are told."
    ),
]


@get(
    "/v2/monitor/events",
    tags=["console"],
    before_request=Together(no_foreign_page, ops_only),
    responses={
        **problems(503),
        200: ResponseSpec(
            Picture, media_type="text/event-stream", generate_examples=False,
            description="`picture` and `traces` each second, `change` when a state changes, `missed` how many"
            " of those were lost.",
        ),
    },
)  # fmt: skip
async def events(
    request: Asked,
    feed: Given[Feed],
    watch: Given[Watch],
    checkup: Given[Checkup],
    last_event_id: LastEventId = None,
) -> Response[Any]:
    """Each change of a state at once, and how everything is each second.

    It ends when the monitor does, and when the session does in which it was asked for.
    """
    told = _told(feed, watch.after(last_event_id or ""), checkup.leaving, Person(request).lasts)
    await anext(told)  # it has its place, or is refused
    return Stream(told, media_type="text/event-stream", headers=_HEADERS)


async def _told(
    feed: Feed, missed: list[Change], leaving: asyncio.Event, goes_on: Callable[[], bool]
) -> AsyncGenerator[bytes]:
    with feed.reader() as reader:
        yield b""
        reader.begin()
        yield b"retry: 1000\n\n" + b"".join(map(written, missed))
        while not leaving.is_set() and goes_on():
            waiting = {asyncio.ensure_future(each.wait()) for each in (reader.news, leaving)}
            try:
                await asyncio.wait(waiting, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()
            if not leaving.is_set() and goes_on():
                yield reader.take() or b": still here\n\n"


handlers = [events]
