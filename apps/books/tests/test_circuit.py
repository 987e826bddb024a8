"""The circuit breaker to look at: five slow answers, then quick ones, and one call that finds out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from bookstore.books.circuit.target import BlackHole
from bookstore.books.circuit.trial import circuit
from bookstore.resilience import CircuitOpen, TimedOut
from bookstore.resilience.testing import FakeClock, permits_at_rest
from bookstore.service.upstream import ConnectFailed, Upstream
from bookstore.service.upstream import TimedOut as SilentUpstream

PATH = "/inventory/test-circuit-breaker"
OPEN = "circuit-open"
AWAY = "target-unavailable"


@pytest.fixture
def alone(database_url, run_books):
    """A service whose circuit nobody else has used."""
    with run_books(database_url) as client:
        yield client


def _timed(client):
    started = monotonic()
    answer = client.get(PATH)
    return answer, monotonic() - started


@pytest.mark.quiet
def test_five_slow_503_then_at_once_that_the_circuit_is_open(alone, check_problem):
    for _ in range(5):
        answer, took = _timed(alone)
        check_problem(answer, 503, AWAY)
        assert "Circuit breaker open" not in answer.text
        assert 0.4 < took < 2
    refused = [_timed(alone) for _ in range(3)]
    for answer, _ in refused:
        assert "Circuit breaker open" in check_problem(answer, 503, OPEN)["detail"]
        assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert min(took for _, took in refused) < 0.25  # who calls needs longer each time
    # The rest of the service knows nothing of it.
    assert alone.get("/inventory/health").status_code == 200
    assert alone.get("/health").json()["services"] == {"database": "healthy"}


@pytest.mark.quiet
def test_callers_at_once_open_it_together(alone, check_problem):
    with ThreadPoolExecutor(12) as pool:
        for answer, took in pool.map(lambda _: _timed(alone), range(12)):
            check_problem(answer, 503)
            assert took < 2
    check_problem(_timed(alone)[0], 503, OPEN)


async def _outcome(call):
    try:
        return await call()
    except (CircuitOpen, TimedOut) as error:
        return type(error)


async def test_one_trial_finds_out_and_all_others_are_refused_meanwhile():
    clock = FakeClock()
    silent = True

    async def ask():
        if silent:
            await clock.sleep(60)
        return "answered"

    pipeline = circuit(clock)
    call = pipeline(ask)

    async def together(count):
        return await clock.finish(asyncio.gather(*(_outcome(call) for _ in range(count))))

    for _ in range(5):
        assert await together(1) == [TimedOut]
    assert await together(3) == [CircuitOpen] * 3
    await clock.advance(9.9)
    assert await together(1) == [CircuitOpen]
    await clock.advance(0.1)
    assert await together(4) == [TimedOut, CircuitOpen, CircuitOpen, CircuitOpen]
    assert await together(1) == [CircuitOpen]
    await clock.advance(10)
    silent = False
    assert await together(1) == ["answered"]
    assert await together(4) == ["answered"] * 4
    permits_at_rest(pipeline, clock)


async def test_the_target_takes_connections_and_stays_silent_until_it_is_closed():
    async with BlackHole() as target, Upstream(target.url, timeout=0.1) as upstream:
        for _ in range(3):
            with pytest.raises(SilentUpstream):
                await upstream.request("GET", "/")
        url = target.url
    async with Upstream(url) as upstream:
        with pytest.raises(ConnectFailed):
            await upstream.request("GET", "/")
