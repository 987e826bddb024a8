"""Asks orders for its queue, in the name of whoever asks: the monitor itself may see and do nothing there."""

import asyncio
import logging
from typing import Final, Self, TypeVar

from bookstore.contracts.monitor import Queue
from bookstore.contracts.queue import DeadJobs, QueueStatus
from bookstore.contracts.reading import reader
from bookstore.monitor.health.targets import Target
from bookstore.monitor.health.watch import Watch
from bookstore.monitor.objection import objection
from bookstore.monitor.sessions.doorman import Person
from bookstore.service.problem import Problem
from bookstore.service.upstream import Answer, Header, Upstream, UpstreamError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PATIENCE: Final = 1.0
_LONGER: Final = 2.5
"""Seconds for what an operator asks for: orders answers within two, whatever fails."""
_LONGEST: Final = 1_048_576
_OK: Final = 200


class OrdersUnavailable(Problem):
    """Orders has not confirmed; what was asked for may be done, or not."""

    def __init__(self) -> None:
        super().__init__(
            503, "orders-unavailable", "orders doesn't answer; look at the queue before you ask again"
        )


class QueueDesk:
    """Tells of the queue and switches it, while it is held open with `async with`.

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

    async def show(self, person: Person) -> Queue:
        """How the queue is, and its newest dead letters; what isn't told in a second is left out."""
        status, dead = await asyncio.gather(
            self._look("/v1/queue", QueueStatus, person), self._look("/v1/queue/dead", DeadJobs, person)
        )
        return Queue(known=self._watch.queue(), status=status, dead=dead)

    async def ask(self, person: Person, method: str, path: str, kind: type[T]) -> T:
        """Ask orders for one thing, and give its answer.

        Should orders die before it has answered, what was asked for may be done all the same: each verb can
        be said again without harm.

        Raises:
            Problem: what orders objects to (404, 409), or 503 if it doesn't answer.
        """
        try:
            answer = await self._send(person, method, path, _LONGER)
            if answer.status == _OK:
                return reader(kind)(answer.body)
        except (TimeoutError, UpstreamError, ValueError) as error:
            logger.warning("orders was not heard", extra={"cause": repr(error)})
            raise OrdersUnavailable from error
        raise objection(answer, OrdersUnavailable())

    async def _look(self, path: str, kind: type[T], person: Person) -> T | None:
        try:
            answer = await self._send(person, "GET", path, _PATIENCE)
            return reader(kind)(answer.body) if answer.status == _OK else None
        except (TimeoutError, UpstreamError, Problem):
            return None
        except ValueError as error:
            logger.warning("the queue was not understood", extra={"cause": repr(error)})
            return None

    async def _send(self, person: Person, method: str, path: str, seconds: float) -> Answer:
        upstream = self._upstream
        if upstream is None:
            raise OrdersUnavailable

        async def send(headers: list[Header]) -> Answer:
            body = b"" if method == "POST" else None
            return await upstream.request(method, path, headers=headers, body=body, timeout=seconds)

        async with asyncio.timeout(seconds):
            return await person.ask(send)
