"""A link to another service that jobs call, with every limit that such a call has.

A job has time: what can't be done now is parked and done later.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from bookstore.orders.queue.model import Job, Parked, Trouble, pause_after, spread
from bookstore.resilience import (
    Breaker,
    Bulkhead,
    CircuitOpen,
    Deadline,
    Pipeline,
    Rejected,
    Retry,
    Sink,
    TimedOut,
    Timeout,
    Window,
    backoff,
    outgoing_headers,
)
from bookstore.service.upstream import Answer, ConnectFailed, Header, Upstream, UpstreamError
from bookstore.service.upstream import TimedOut as NoAnswerInTime

T = TypeVar("T")

TRIES = 3
_TRIALS = 3
_SERVER_ERROR, _CLIENT_ERROR, _REDIRECT = 500, 400, 300


class NoUse(Exception):
    """An answer that decides nothing: another try may bring a better one."""

    def __init__(self, cause: str, trouble: Trouble, retry_after: float | None = None) -> None:
        super().__init__(cause)
        self.trouble: Trouble = trouble
        self.retry_after = retry_after

    @classmethod
    def of(cls, answer: Answer) -> "NoUse":
        """What there is to say of an answer by its status."""
        if answer.status >= _SERVER_ERROR:
            trouble: Trouble = "5xx"
        else:
            trouble = "4xx" if answer.status >= _CLIENT_ERROR else "other"
        asked = answer.header(b"retry-after") or b""
        return cls(f"status {answer.status}", trouble, float(asked) if asked.isdigit() else None)


class Link:
    """One service, called through a pipeline: three tries an episode, one circuit, so many calls at once.

    Args:
        name: What the service is called in causes and metrics.
        upstream: Where it answers.
        concurrency: How many calls there may be at a time.
        timeout: Seconds for one try, down to the last byte of its answer.
        sinks: Are told what the policies do.
    """

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        *,
        concurrency: int,
        timeout: float,
        sinks: Iterable[Sink] = (),
    ) -> None:
        self.name = name
        self.breaker = Breaker(
            name=name,
            window=Window.time(10.0),
            min_calls=10,
            failure_rate=0.5,
            # A service that is plainly gone is known by fewer calls.
            consecutive=8,
            trials=_TRIALS,
            open_for=backoff(1.0, cap=10.0, jitter="equal"),
        )
        self._upstream = upstream
        self.pipeline = Pipeline(
            name,
            Deadline(timeout * TRIES + 3.0),
            Retry(
                attempts=TRIES,
                delay=backoff(0.1, cap=1.0, jitter="full"),
                on=(UpstreamError, TimedOut, NoUse),
            ),
            self.breaker,
            Bulkhead(concurrency, queue=concurrency),
            Timeout(timeout),
            sinks=sinks,
        )
        self._concurrency = concurrency

    async def call(
        self,
        read: Callable[[Answer], T],
        method: str,
        target: str,
        *,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
    ) -> T:
        """Call, until `read` makes something of an answer; it raises `NoUse` for one that decides nothing.

        Raises:
            Exception: what the last try came to.
        """

        async def once() -> T:
            deadline = [(name.encode(), value.encode()) for name, value in outgoing_headers().items()]
            answer = await self._upstream.request(method, target, headers=[*headers, *deadline], body=body)
            return read(answer)

        return await self.pipeline.call(once)

    async def work(
        self,
        job: Job,
        read: Callable[[Answer], T],
        method: str,
        target: str,
        *,
        headers: Iterable[Header] = (),
        body: bytes | None = None,
    ) -> T | Parked:
        """Call for a job; one that can't be done now is parked."""
        try:
            return await self.call(read, method, target, headers=headers, body=body)
        except Exception as error:
            if (parked := self._parked(error, job.episodes)) is None:
                raise
            return parked

    def room(self, in_hand: int) -> int:
        """How many more jobs to take: none while the circuit is open, a few when it is half open."""
        state = self.breaker.state
        if state in ("open", "forced_open"):
            return 0
        return (_TRIALS if state == "half_open" else self._concurrency) - in_hand

    async def check(self) -> None:
        """Return if calls are let through."""
        if self.breaker.state in ("open", "forced_open"):
            raise CircuitOpen(self.name)

    def _parked(self, error: Exception, episodes: int) -> Parked | None:
        """What becomes of a job whose call raised `error`; None if that says nothing of the service."""
        if isinstance(error, CircuitOpen):
            return Parked(f"{self.name}: circuit open", spread(error.retry_after or 0.0))
        told = _told(error)
        if told is None:
            return None
        cause, trouble = told
        asked: float = getattr(error, "retry_after", None) or 0.0
        pause = max(pause_after(episodes), spread(asked) if asked else 0.0)
        return Parked(f"{self.name}: {cause}", pause, trouble)


def is_away(error: Exception) -> bool:
    """Whether a call failed because of the service, or of the way there: away, late, or of no use."""
    return _told(error) is not None


def _told(error: Exception) -> tuple[str, Trouble] | None:
    """How a call failed, in words for those outside: no addresses."""
    match error:
        case NoUse():
            return str(error), error.trouble
        case ConnectFailed():
            return "can't be reached", "other"
        case TimeoutError() | NoAnswerInTime() | Rejected():
            return "no answer in time", "timeout"
        case UpstreamError():
            return "the connection broke", "other"
        case _:
            return None
