"""The client: one call, and everything that stands round it. Read this file first.

What a call goes through, from the outside in:

1. `Fallback`: whatever goes wrong further in, there is an answer.
2. `Retry`: a try that failed is repeated twice, after 0.4 and 0.8 seconds.
3. `RateLimit`: a token bucket, six tries a second. Who comes too early stands in line.
4. `Breaker`: after three failures in a row nobody is called for eight seconds; then one call finds out.
5. `Bulkhead`: six calls at a time, so that a slow service can't take all that we have.
6. `Timeout`: two seconds for each try.

The circuit stands inside the retry, so it is asked before each try: once it is open, nobody tries again.
"""

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from time import monotonic
from typing import Final

from bookstore.contracts.playground import CallResult
from bookstore.playground.journal import Journal, asked_for
from bookstore.resilience import (
    Breaker,
    Bulkhead,
    Clock,
    Fallback,
    Pipeline,
    Quota,
    RateLimit,
    Retry,
    Sink,
    Timeout,
    backoff,
)
from bookstore.service.upstream import ConnectFailed, Upstream, UpstreamError

PLACES: Final = 6
PER_SECOND: Final = 6
IN_LINE: Final = 2000
LONGEST_LINE: Final = 600.0

_ERROR: Final = 400


class HttpError(Exception):
    """The service answered, and said that it failed."""


class Ask:
    """One call: where to, and how often it was really made."""

    def __init__(self, url: str, path: str) -> None:
        self.url = url
        self.path = path
        self.attempts = 0


class ResilientClient:
    """Calls a service that may be slow, broken or gone, and always has an answer.

    Args:
        base_url: Where the service is.
        upstream: The way there, without any protection of its own.
        journal: Is told what happens.
        clock: For tests, which decide when time passes.
        sinks: Are told what the policies do, beside the journal.
    """

    def __init__(
        self,
        base_url: str,
        upstream: Upstream,
        journal: Journal,
        *,
        clock: Clock | None = None,
        sinks: Iterable[Sink] = (),
    ) -> None:
        self._base_url = base_url
        self._upstream = upstream
        self._journal = journal
        self.running = 0
        """Calls of the service at this moment."""
        self.counts: Counter[str] = Counter()
        """How often the service was called, and how many calls there were at once at most."""
        self.breaker = Breaker(consecutive=3, open_for=8.0, trials=1)
        self.pipeline = Pipeline(
            "supplier",
            Fallback(use=lambda: None),
            Retry(attempts=3, delay=backoff(0.4, cap=2.0)),
            RateLimit(Quota(PER_SECOND), wait=LONGEST_LINE),
            self.breaker,
            Bulkhead(PLACES, queue=IN_LINE),
            Timeout(2.0),
            clock=clock,
            sinks=[journal, *sinks],
        )

    async def get(self, path: str) -> CallResult:
        """Call the service; never raises for what the service does."""
        ask = Ask(self._base_url + path, path)
        began = monotonic()
        with asked_for(ask.url):
            status = await self.pipeline.call(self._send, ask)
        return CallResult(
            url=ask.url,
            status=status,
            source="fallback" if status is None else "service",
            attempts=ask.attempts,
            elapsed_ms=round((monotonic() - began) * 1000, 1),
        )

    async def _send(self, ask: Ask) -> int | None:
        """One try, bare. An answer that says error is raised as one, so that the policies learn of it."""
        ask.attempts += 1
        with self._counted():
            try:
                answer = await self._upstream.request("GET", ask.path)
            except UpstreamError as error:
                gone = isinstance(error, ConnectFailed)
                self._journal.http_error(
                    ask.url, "nobody takes the connection" if gone else "the connection broke"
                )
                raise
        if answer.status >= _ERROR:
            self._journal.http_error(ask.url, f"status {answer.status}")
            raise HttpError(answer.status)
        return answer.status

    @contextmanager
    def _counted(self) -> Generator[None]:
        self.running += 1
        self.counts["calls"] += 1
        self.counts["most_at_once"] = max(self.counts["most_at_once"], self.running)
        try:
            yield
        finally:
            self.running -= 1
