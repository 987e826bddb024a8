"""Every limit that a call to another service has, in one place.

An order is answered within two seconds, whatever fails. `PROMISE` ends its whole work before that, and what
is left of it travels to books. Within it each call has a limit of its own, so that a books service which
hangs is known to hang: work that the promise cuts off teaches the circuit nothing.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import cast

from bookstore.orders.settings import OrdersSettings
from bookstore.resilience import (
    Breaker,
    Bulkhead,
    Deadline,
    DeadlineExceeded,
    Outcome,
    Pipeline,
    Rejected,
    Retry,
    Sink,
    Timeout,
    Verdict,
    backoff,
    outgoing_headers,
)
from bookstore.service import context
from bookstore.service.problem import Problem
from bookstore.service.upstream import Broken, ConnectFailed, Header

PROMISE = Deadline(1.7, name="promise")
"""All that a request does; what is left up to two seconds is for a busy machine and the way back."""

ANSWER = 1.8
"""Seconds in which the answer to any request begins, whatever its route adds up."""

_SERVER_ERROR = 500


class OutOfTime(Problem):
    """The caller's time, or ours, was over before there was an answer."""

    def __init__(self) -> None:
        super().__init__(503, "out-of-time", "there was no time left for an answer; ask again")


@asynccontextmanager
async def promised(headers: Mapping[str, str]) -> AsyncGenerator[None]:
    """Keep the promise for what is done in this block; less, if the caller's own headers say so.

    Raises:
        OutOfTime: if that isn't enough.
    """
    try:
        async with PROMISE.arriving(headers):
            yield
    except DeadlineExceeded as error:
        raise OutOfTime from error


class BooksPipelines:
    """How books is called. There is one circuit: reservations and stock come from the same processes.

    Orders that go together share a call, and its limits; what fails it counts as often as there are orders.

    Retries are for what was lost on the way, and only where asking twice does nothing twice: reading is such,
    and so is a reservation, which has a name of its own. A call that ran out of time isn't repeated: there is
    no time for it, and books has enough to do.
    """

    def __init__(self, settings: OrdersSettings, sinks: Iterable[Sink] = ()) -> None:
        # One good answer closes it: where few orders come, more trials would turn the next crowd away.
        self.breaker = Breaker(
            name="books", consecutive=5, open_for=settings.books_circuit_open, trials=1, classify=_verdict
        )
        places = Bulkhead(100, queue=400, wait=0.3, name="places")

        def pipeline(name: str, seconds: float, *outer: Deadline) -> Pipeline:
            again = Retry(attempts=3, delay=backoff(0.05, cap=0.2, jitter="full"), on=(ConnectFailed, Broken))
            return Pipeline(name, *outer, again, self.breaker, places, Timeout(seconds), sinks=sinks)

        self.reservations = pipeline("books.reservations", settings.books_timeout)
        self.stock = pipeline("books.stock", 0.5, Deadline(1.0))
        # What follows a failed reservation doesn't count as another failure, and is done later if it fails.
        self.releases = Pipeline("books.releases", places, Timeout(settings.books_timeout), sinks=sinks)
        self.all = (self.reservations, self.stock, self.releases)

    @property
    def closed_off(self) -> bool:
        """Whether the circuit lets no call through."""
        return self.breaker.state in {"open", "forced_open"}

    def failed(self, times: int) -> None:
        """Count failures beside those that a pipeline has seen."""
        with suppress(Rejected):  # it was opened meanwhile
            for _ in range(times):
                self.breaker.acquire().fail()


def _verdict(outcome: Outcome[object]) -> Verdict:
    """Books answered, be it that there is no such book or too few of it: then it works.

    An answer for several orders that says nothing of one of them is none.
    """
    if isinstance(outcome.error, Rejected):
        return "ignore"
    value = outcome.value
    told = cast("list[object]", value) if isinstance(value, list) else [outcome.error]
    return "fail" if any(map(_is_failure, told)) else "ok"


def _is_failure(told: object) -> bool:
    return told.status >= _SERVER_ERROR if isinstance(told, Problem) else isinstance(told, BaseException)


def onward() -> list[Header]:
    """The headers of each call: who asks, in which trace, and how much time is left."""
    deadline = [(name.encode(), value.encode()) for name, value in outgoing_headers().items()]
    return [*context.outgoing_headers(), *deadline]
