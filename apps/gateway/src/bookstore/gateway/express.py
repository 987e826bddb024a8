"""Requests about which nothing is unusual, from the client to their service and back without a task.

It goes by the same rules as the proxy, in the same order: wherever one of them would have to wait, or has
something to say against the request, the proxy does what is left. Until a limit has counted the request it
does all of it anew; from there on it goes on with the delivery that was begun.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bookstore.gateway.client import Watch
from bookstore.gateway.errand import Answered, Errand, errand_of
from bookstore.gateway.gateway import Gateway
from bookstore.gateway.identity import Asker
from bookstore.gateway.proxy import going_on
from bookstore.gateway.upstreams import Delivery
from bookstore.service import context
from bookstore.service.door import WITHOUT_BODY, Line, Passenger, Request
from bookstore.service.problem import Problem
from bookstore.service.telemetry import Seen, Telemetry

if TYPE_CHECKING:
    from bookstore.service.upstream import Header

logger = logging.getLogger(__name__)


class Express:
    """Takes requests from our own server.

    Args:
        gateway: Holds the file that is gone by.
        telemetry: Tells of each request.
        leaving: Whether this process is about to end.
    """

    methods = WITHOUT_BODY

    def __init__(self, gateway: Gateway, telemetry: Telemetry, leaving: Callable[[], bool]) -> None:
        self._gateway = gateway
        self.telemetry = telemetry
        self._leaving = leaving
        self.watch = Watch()

    def take(self, request: Request, line: Line) -> Passenger | None:
        """Take it if it may pass, and that is known already."""
        if self._leaving():
            return None
        told: list[Header] = []
        try:
            errand = errand_of(self._gateway.snapshot, request, told)
            if errand is None:
                return None
            target = errand.target()
        except (Answered, Problem):
            return None
        asker = errand.asker_now()
        if asker is None or not self._may_pass(errand, asker):
            return None
        call = errand.call(target, asker, None, 0)
        seen = self.telemetry.begin(request.method, request.path.decode("latin-1"), request.headers)
        seen.route = errand.entry.rule.prefix
        return _Passage(self, errand, Delivery(errand.entry.group, call), seen, line)

    def _may_pass(self, errand: Errand, asker: Asker) -> bool:
        entry = errand.entry
        if entry.limit is None or asker.exempt:
            return True
        decision = entry.limit.ask_now(entry.rule.prefix, entry.counted_as(asker, errand.head.address))
        if decision is None or not decision.allowed:
            return False
        self._gateway.tally.decision(entry.limit.name, decision)
        errand.told += entry.limit.fields(decision)
        return True


class _Passage:
    """One request on its way."""

    __slots__ = ("_delivery", "_errand", "_express", "_line", "_seen")

    def __init__(self, express: Express, errand: Errand, delivery: Delivery, seen: Seen, line: Line) -> None:
        self._express = express
        self._errand = errand
        self._delivery = delivery
        self._seen = seen
        self._line = line

    def begin(self) -> None:
        """Send it to its service."""
        self._do(self._send)

    def leave(self) -> None:
        """The client has gone."""
        self._delivery.abandon()
        self._express.telemetry.gone(self._seen)

    def _send(self) -> None:
        if not self._delivery.begin(self._hear):
            self._line.hand_over(self._go_on)

    def _hear(self) -> None:
        self._do(self._answer)

    def _answer(self) -> None:
        """There is news of the service's answer."""
        taken = self._delivery.take()
        if taken is None:
            self._line.hand_over(self._go_on)
            return
        answer, body = taken
        headers = self._errand.answer(answer.headers, self._delivery.member.address)
        self._delivery.end()
        self._line.answer(answer.status, self._seen.answer(answer.status, headers), body)
        self._express.telemetry.end(self._seen)

    def _do(self, step: Callable[[], None]) -> None:
        """Whatever goes wrong in a callback, somebody has to answer for it: there is no task that would."""
        token = context.current.set(self._seen.request)
        try:
            step()
        except Exception:
            logger.exception("a request failed on its way")
            self._delivery.abandon()
            self._line.break_off()
            self._express.telemetry.end(self._seen)
        finally:
            context.current.reset(token)

    async def _go_on(self, scope: Any, receive: Any, send: Any) -> None:
        app = going_on(self._errand, self._delivery, self._express.watch)
        await self._express.telemetry.serve(self._seen, app, scope, receive, send)
