"""The circuit breaker over HTTP."""

from math import ceil

from litestar import get

from bookstore.books.circuit.trial import Trial
from bookstore.resilience import CircuitOpen, TimedOut
from bookstore.service.docs import problems
from bookstore.service.problem import Problem
from bookstore.service.provide import Given
from bookstore.service.upstream import UpstreamError


@get("/inventory/test-circuit-breaker", status_code=503, tags=["inventory"], responses=problems(503))
async def call_target(trial: Given[Trial]) -> None:
    """Call a target that never answers: five times half a second is waited, then it isn't called for 10 s."""
    try:
        await trial.call()
    except CircuitOpen as error:
        seconds = max(1, ceil(error.retry_after or 0))
        raise Problem(
            503,
            "circuit-open",
            f"Circuit breaker open: the target is not called for another {seconds} s",
            headers={"Retry-After": str(seconds)},
        ) from None
    except (TimedOut, UpstreamError) as error:
        raise Problem(503, "target-unavailable", f"the target did not answer: {error}") from None


handlers = [call_target]
