"""Breakers brought into a state, for tests of what happens there."""

import pytest

from bookstore.resilience import Breaker, CircuitOpen, Window


def feed(breaker, outcomes):
    """One call after the other: S success, F failure, I ignored."""
    for outcome in outcomes.replace(" ", ""):
        permit = breaker.acquire()
        {"S": permit.ok, "F": permit.fail, "I": permit.drop}[outcome]()


def tripped(clock, **settings):
    """A breaker that has just opened."""
    breaker = Breaker(
        **{"window": Window.count(1), "min_calls": 1, "open_for": 30.0, "clock": clock} | settings
    )
    feed(breaker, "F")
    assert breaker.state == "open"
    return breaker


def half_open(clock, **settings):
    breaker = tripped(clock, **settings)
    clock.tick(30)
    assert breaker.state == "half_open"
    return breaker


def refusal(breaker):
    with pytest.raises(CircuitOpen) as caught:
        breaker.acquire()
    return caught.value
