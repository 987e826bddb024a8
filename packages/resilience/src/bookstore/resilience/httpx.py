"""A transport that puts a pipeline, and a balancer, under a client of httpx or of httpx2.

It imports neither: it deals with their requests and answers by their shape, which is the same.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from bookstore.resilience.balance import Balancer, Lease
from bookstore.resilience.deadline import outgoing_headers
from bookstore.resilience.guard import settle
from bookstore.resilience.hedge import Hedge
from bookstore.resilience.http import IDEMPOTENT, http_verdict
from bookstore.resilience.outcome import Classify, Outcome, verdict_of
from bookstore.resilience.pipeline import Pipeline
from bookstore.resilience.retry import Retry

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, Request, Response

    from bookstore.resilience.policy import Policy
else:
    AsyncBaseTransport = object

REPEATING: Final = (Retry, Hedge)
"""Policies that make one request into several."""


class Transport(AsyncBaseTransport):
    """Sends requests through a pipeline.

    ```python
    books = Pipeline("books", Retry(result=transient), Breaker(classify=http_verdict), Timeout(0.4))
    client = httpx.AsyncClient(transport=Transport(books, httpx.AsyncHTTPTransport()))
    ```

    Only what may be repeated is: for a request that isn't idempotent (a `POST` without an `Idempotency-Key`),
    the pipeline's retries and hedges are left out. Each try carries the deadline that is left, and with a
    balancer goes to a target that this request hasn't tried, if there is one. A streamed body is read first,
    so that each try sends the whole of it. Answers are streams, read once: `SingleFlight` and `Stale` belong
    around what reads them, not here.

    Args:
        pipeline: around each request.
        inner: what sends a request, such as `httpx.AsyncHTTPTransport()`. Closed with this one.
        balancer: chooses the target for each try: a base URL, in the place of the request's. `"hash"` goes by
            the request's extension `"key"`.
        classify: tells the balancer how a try ended.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        inner: AsyncBaseTransport,
        *,
        balancer: Balancer | None = None,
        classify: Classify = http_verdict,
    ) -> None:
        self.balancer = balancer
        self._pipeline = pipeline
        self._inner = inner
        self._classify = classify
        self._policies: tuple[Policy, ...] = ()
        self._once = pipeline

    async def handle_async_request(self, request: "Request") -> "Response":
        """Send a request, as the client asks."""
        await request.aread()
        pipeline = self._pipeline if _repeatable(request) else self._unrepeated()
        tried: set[str] = set()
        return await pipeline.call(self._try, request, tried)

    async def _try(self, request: "Request", tried: set[str]) -> "Response":
        if self.balancer is None:
            return await self._inner.handle_async_request(_copy(request, None))
        lease = self.balancer.pick(request.extensions.get("key"), avoid=tried)
        tried.add(lease.target)
        try:
            response = await self._inner.handle_async_request(_copy(request, lease.target))
        except BaseException as error:
            self._settle(lease, Outcome(error=error))
            raise
        self._settle(lease, Outcome(response))
        return response

    def _settle(self, lease: Lease, outcome: Outcome[Any]) -> None:
        try:
            verdict = verdict_of(outcome, self._classify)
        except BaseException:
            lease.drop()  # a judge that fails must not keep the lease
            raise
        settle(lease, verdict, outcome.error)

    def _unrepeated(self) -> Pipeline:
        """The same policies, the same state, and every request once. Follows a pipeline that is replaced."""
        pipeline = self._pipeline
        if self._policies is not pipeline.policies:
            self._policies = pipeline.policies
            kept = [policy for policy in pipeline.policies if not isinstance(policy, REPEATING)]
            self._once = Pipeline(pipeline.name, *kept, clock=pipeline.clock, sinks=pipeline.sinks)
        return self._once

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._inner.__aexit__(kind, error, traceback)


def _repeatable(request: "Request") -> bool:
    return request.method.upper() in IDEMPOTENT or "idempotency-key" in request.headers


def _copy(request: "Request", target: str | None) -> "Request":
    """The request of one try: tries may run at the same time."""
    url, headers = request.url, request.headers.copy()
    if target is not None:
        base = type(url)(target)
        path = base.raw_path.partition(b"?")[0].rstrip(b"/") + url.raw_path
        url = url.copy_with(scheme=base.scheme, host=base.host, port=base.port, raw_path=path)
        headers["host"] = url.netloc.decode("ascii")
    headers.update(outgoing_headers())
    return type(request)(
        request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
    )
