"""Orders about which nothing is unusual: from the request to the wave, and back to the answer without a task.

It goes by the same rules as the handlers, in the same order. Wherever one of them has something to say
against a request, or would have to wait for anything but a wave, the handlers do all of it: so they do for
whoever sends an Idempotency-Key, or a token that nobody has seen yet.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from bookstore.orders.forms import V1, V2, Form
from bookstore.orders.idempotency.model import HEADER
from bookstore.orders.model import Order, summed
from bookstore.orders.pipelines import ANSWER, PROMISE
from bookstore.orders.waves import Ending, Placement, Waves
from bookstore.resilience import DeadlineExceeded
from bookstore.service.body import decode
from bookstore.service.door import Line, Passenger, Request
from bookstore.service.problem import Problem
from bookstore.service.shortcut import Refuse, is_usual
from bookstore.service.telemetry import Seen, Telemetry
from bookstore.service.tokens import Access

logger = logging.getLogger(__name__)

_FORMS = {form.path.encode(): form for form in (V1, V2)}
_KEY = HEADER.lower().encode()
_DEADLINE = PROMISE.header.encode()
_CREATED = 201


class Express:
    """Takes orders from our own server.

    Args:
        waves: What they go with.
        admits: Raises a problem if there is no room for one more order.
        access: Tells who asks.
        telemetry: Tells of each request.
        refuse: Makes of an error the app that answers with it.
        most: Bytes that a body may have.
    """

    methods = frozenset({"POST"})

    def __init__(
        self,
        waves: Waves,
        admits: Callable[[], None],
        access: Access,
        telemetry: Telemetry,
        refuse: Refuse,
        *,
        most: float,
    ) -> None:
        self.waves = waves
        self.telemetry = telemetry
        self.refuse = refuse
        self._admits = admits
        self._access = access
        self._most = most

    def take(self, request: Request, line: Line) -> Passenger | None:
        """Take it if it can go with the next wave, and that is known already."""
        form = _FORMS.get(request.path)
        told = dict(request.headers)
        twice = len(told) < len(request.headers)
        if form is None or request.query or twice or _KEY in told or not is_usual(told, self._most):
            return None
        asks = self._access.known(told.get(b"authorization"))
        seconds = _seconds(told.get(_DEADLINE), line)
        if asks is None or seconds <= 0:
            return None
        try:
            wanted = summed(form.lines(decode(request.body, form.kind, form.path)), form.path)
            self._admits()
        except Problem:
            return None
        seen = self.telemetry.begin(request.method, form.path, request.headers)
        seen.route = form.path
        passage = _Passage(self, form, seen, line)
        passage.placement = Placement(
            wanted,
            asks.customer_id,
            None,
            request=seen.request,
            until=asyncio.get_running_loop().time() + seconds,
            tell=passage.end,
        )
        return passage


def _seconds(sent: bytes | None, line: Line) -> float:
    """For how long somebody waits for an answer: less, if the request has lain here, or says so."""
    promise = PROMISE
    if sent is not None:
        try:
            promise = PROMISE.arriving({PROMISE.header: sent.decode("latin-1")})
        except DeadlineExceeded:
            return 0.0
    return min(promise.seconds, ANSWER - line.since_arrival())


class _Passage:
    """One order on its way."""

    __slots__ = ("_express", "_form", "_left", "_line", "_seen", "placement")

    placement: Placement

    def __init__(self, express: Express, form: Form, seen: Seen, line: Line) -> None:
        self._express = express
        self._form = form
        self._seen = seen
        self._line = line
        self._left = False

    def begin(self) -> None:
        """Go with the next wave."""
        try:
            self._express.waves.join(self.placement)
        except Problem as problem:
            self.end(problem)

    def leave(self) -> None:
        """The client has gone; its order is placed all the same, as it may have been already."""
        self._left = True

    def end(self, ending: Ending) -> None:
        """The order is kept, or there is none: answer so."""
        telemetry = self._express.telemetry
        try:
            if self._left:
                telemetry.gone(self._seen)
            elif isinstance(ending, Order):
                self._answer(ending)
                telemetry.end(self._seen)
            else:
                self._line.hand_over(partial(self._refuse, self._express.refuse(ending)))
        except Exception:
            # Whatever goes wrong in a callback, somebody has to answer for it: there is no task that would.
            logger.exception("an order couldn't be answered")
            self._line.break_off()
            telemetry.end(self._seen)

    def _answer(self, order: Order) -> None:
        body = self._form.answer(order)
        headers = [
            (b"location", b"%b/%d" % (self._form.path.encode(), order.id)),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        self._line.answer(_CREATED, self._seen.answer(_CREATED, headers), body)

    async def _refuse(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        await self._express.telemetry.serve(self._seen, app, scope, receive, send)
