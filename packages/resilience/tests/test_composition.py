"""One table: what a pipeline does, how often it calls, and how it ends."""

from types import SimpleNamespace

import pytest

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    BulkheadFull,
    CircuitOpen,
    Deadline,
    DeadlineExceeded,
    Fallback,
    Pipeline,
    Retry,
    TimedOut,
    Timeout,
    Window,
)

FAIL, HANG, OK = "fail", "hang", "ok"


def open_breaker():
    breaker = Breaker()
    breaker.force_open()
    return breaker


def full():
    bulkhead = Bulkhead(1)
    bulkhead.acquire()
    return bulkhead


def table():
    """Policies, what the calls do in turn, executions, seconds, end; made anew, as policies keep state."""
    return {
        "nothing": ((), (OK,), 1, 0, OK),
        "retry ends well": ((Retry(delay=1.0),), (FAIL, FAIL, OK), 3, 2, OK),
        "retry gives up": ((Retry(delay=1.0),), (FAIL,), 3, 2, ValueError),
        "retry and fallback": ((Fallback(use=OK), Retry(delay=1.0)), (FAIL,), 3, 2, OK),
        "retries multiply": ((Retry(delay=1.0), Retry(attempts=2, delay=1.0)), (FAIL,), 6, 5, ValueError),
        "each try has its time": ((Retry(delay=1.0), Timeout(0.5)), (HANG,), 3, 3.5, TimedOut),
        "a try in time": ((Retry(delay=1.0), Timeout(0.5)), (HANG, OK), 2, 1.5, OK),
        "the whole has its time": (
            (Deadline(2.2), Retry(delay=1.0), Timeout(0.5)),
            (HANG,),
            2,
            2.0,
            TimedOut,
        ),
        "the deadline cuts a try": (
            (Deadline(1.7), Retry(delay=1.0), Timeout(0.5)),
            (HANG,),
            2,
            1.7,
            DeadlineExceeded,
        ),
        "fallback after deadline": ((Fallback(use=OK), Deadline(1.0)), (HANG,), 1, 1.0, OK),
        "open circuit isn't retried": ((Retry(delay=1.0), open_breaker()), (OK,), 0, 0, CircuitOpen),
        "open circuit retried by name": (
            (Retry(delay=1.0, on=CircuitOpen), open_breaker()),
            (OK,),
            0,
            2,
            CircuitOpen,
        ),
        "fallback for an open circuit": ((Fallback(use=OK), open_breaker()), (OK,), 0, 0, OK),
        "circuit opens between tries": (
            (Retry(attempts=5, delay=1.0), Breaker(consecutive=2)),
            (FAIL,),
            2,
            2,
            CircuitOpen,
        ),
        "circuit closes between tries": (
            (
                Retry(attempts=5, delay=1.0, on=(ValueError, CircuitOpen)),
                Breaker(consecutive=1, open_for=3.0, trials=1),
            ),
            (FAIL, OK),
            2,
            3,
            OK,
        ),
        "timeouts open the circuit": (
            (Retry(attempts=9, delay=1.0), Breaker(window=Window.count(2)), Timeout(0.5)),
            (HANG,),
            2,
            3.0,
            CircuitOpen,
        ),
        "a full bulkhead isn't retried": ((Retry(delay=1.0), full()), (OK,), 0, 0, BulkheadFull),
        "a full bulkhead doesn't open the circuit": (
            (Retry(attempts=5, delay=1.0, on=BulkheadFull), Breaker(consecutive=1), full()),
            (OK,),
            0,
            4,
            BulkheadFull,
        ),
        "everything": (
            (Fallback(use=OK), Deadline(9.0), Retry(delay=1.0), Breaker(), Bulkhead(1), Timeout(0.5)),
            (HANG, FAIL, OK),
            3,
            2.5,
            OK,
        ),
    }


@pytest.mark.parametrize("name", table())
async def test_composition(clock, name):
    policies, script, executions, seconds, end = table()[name]
    seen = SimpleNamespace(calls=0)

    async def call():
        step = script[min(seen.calls, len(script) - 1)]
        seen.calls += 1
        if step == HANG:
            await clock.sleep(100)
        if step == FAIL:
            raise ValueError
        return OK

    began, ended, pipeline = clock.now(), None, Pipeline("books", *policies, clock=clock)
    try:
        ended = await clock.finish(pipeline.call(call))
    except Exception as error:  # noqa: BLE001 - compared below
        ended = type(error)
    assert (seen.calls, round(clock.now() - began, 6), ended) == (executions, seconds, end)
    assert clock.pending == 0
