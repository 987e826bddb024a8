"""What nobody asks for: the defaults, which people rely on without having read them."""

from dataclasses import fields

import pytest

from bookstore.resilience import (
    Breaker,
    Budget,
    Bulkhead,
    Outliers,
    Quota,
    RateLimit,
    Retry,
    Window,
)

DEFAULTS = [
    (Breaker(), {
        "window": Window.time(10.0, buckets=10), "min_calls": 20, "failure_rate": 0.5, "slow_call": None,
        "slow_rate": 1.0, "consecutive": None, "trials": 3, "trial_wait": None, "open_for": 30.0,
        "classify": None, "name": "", "clock": None,
    }),
    (Retry(), {"attempts": 3, "respect_retry_after": True, "name": "", "clock": None}),
    (Budget(), {"ratio": 0.2, "reserve": 10.0, "ttl": 10.0, "clock": None}),
    (Bulkhead(32), {"limit": 32, "queue": None, "wait": None, "name": "", "clock": None}),
    (Quota(100), {"limit": 100, "per": 1.0, "burst": 100, "algorithm": "gcra"}),
    (RateLimit(Quota(100)), {"wait": 0.0, "key": None, "cost": 1, "name": "", "clock": None}),
    (Outliers(), {
        "consecutive": 5, "base": 30.0, "cap": 300.0, "max_share": 0.5, "panic": 0.5, "interval": 10.0,
    }),
]  # fmt: skip


@pytest.mark.parametrize(("made", "expected"), DEFAULTS, ids=lambda each: type(each).__name__)
def test_defaults(made, expected):
    named = {field.name for field in fields(made) if field.init}
    assert expected.keys() <= named
    assert {name: getattr(made, name) for name in expected} == expected


def test_a_window_of_a_breaker_is_known_by_its_parts():
    assert Window.time(10.0) == Window(seconds=10.0) == Window.time(10.0, buckets=10)
    assert Window.count(3) == Window(calls=3)


@pytest.mark.parametrize("policy", [Breaker(), Bulkhead(1)], ids=lambda each: type(each).__name__)
def test_those_that_a_reload_may_change_say_so(policy):
    assert policy.adaptable
