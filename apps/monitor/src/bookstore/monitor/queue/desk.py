"""Asks orders for its queue, in the name of whoever asks: the monitor itself may see nothing there."""

import asyncio
import logging
from typing import Self, TypeVar

import msgspec

from bookstore.contracts.monitor import Queue
from bookstore.contracts.queue import DeadJobs, QueueStatus
from bookstore.monitor.health.targets import Target
from bookstore.monitor.health.watch import Watch
from bookstore.service.upstream import Header, Upstream, UpstreamError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE = 1.0
_LONGEST = 1_048_576
_OK = 200


class QueueDesk:
    """Tells of the queue, while it is held open with `async with`.

    Args:
        orders: The instances of orders, of which the first is asked; there may be none.
        watch: Knows what was told last.
    """

    def __init__(self, orders: list[Target], watch: Watch) -> None:
        self._watch = watch
        self._upstream = Upstream(orders[0].url, timeout=_PATIENCE, max_answer=_LONGEST) if orders else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._upstream is not None:
            await self._upstream.aclose()

    async def show(self, authorization: bytes | None) -> Queue:
        """How the queue is, and its newest dead letters; never longer than a second."""
        headers = [(b"authorization", authorization)] if authorization else []
        status, dead = await asyncio.gather(
            self._ask("/v1/queue", QueueStatus, headers), self._ask("/v1/queue/dead", DeadJobs, headers)
        )
        return Queue(known=self._watch.queue(), status=status, dead=dead)

    async def _ask(self, path: str, kind: type[T], headers: list[Header]) -> T | None:
        if self._upstream is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._upstream.request("GET", path, headers=headers)
            return msgspec.json.decode(answer.body, type=kind) if answer.status == _OK else None
        except (TimeoutError, UpstreamError):
            return None
        except ValueError as error:
            logger.warning("the queue was not understood", extra={"cause": repr(error)})
            return None
