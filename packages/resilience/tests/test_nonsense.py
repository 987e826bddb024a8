"""Nothing is taken that can't work: every field of every policy is offered the same nonsense."""

import math
from dataclasses import fields

import pytest

from bookstore.resilience import (
    AIMD,
    Adaptive,
    Balancer,
    Breaker,
    Budget,
    Bulkhead,
    Chaos,
    Deadline,
    Fallback,
    Gradient2,
    Hedge,
    Local,
    Outliers,
    Policy,
    Quota,
    RateLimit,
    Retry,
    SingleFlight,
    Stale,
    Timeout,
    Vegas,
    Window,
)
from bookstore.resilience.delays import Backoff
from bookstore.resilience.guard import Guard
from bookstore.resilience.quantile import Percentile
from bookstore.resilience.quorum import Quorum
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.testing import FakeClock


class Redis:
    async def evalsha(self, *_): ...


async def later(*_):
    """What a careless `classify`, `key` or `result` looks like: nobody awaits it."""


LEAST = {
    Adaptive: {},
    Breaker: {},
    Bulkhead: {"limit": 1},
    Chaos: {"fault": OSError},
    Deadline: {"seconds": 1},
    Fallback: {"use": 1},
    Hedge: {"after": 1},
    Quorum: {"breaker": Breaker(), "redis": Redis()},
    RateLimit: {"quota": Quota(5)},
    Retry: {},
    SingleFlight: {},
    Stale: {"fresh": 1, "stale": 1},
    Timeout: {"seconds": 1},
    # what policies are made of
    AIMD: {},
    Backoff: {"base": 1, "cap": 2},
    Budget: {},
    Gradient2: {},
    Outliers: {},
    Percentile: {"q": 0.5},
    Quota: {"limit": 5},
    Vegas: {},
    Window: {"seconds": 1.0},
}
"""The least that each is made with."""

NONSENSE = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "-1": -1,
    "-0.5": -0.5,
    "0": 0,
    "true": True,
    "false": False,
    "beyond floats": 10**400,
    "empty": "",
    "word": "wo rd",
    "list": [],
    "object": object(),
    "async": later,
    "class": int,
    "clock class": FakeClock,
    "none": None,
}

_OPTIONAL = {"none"}
_FUNCTION = {"class", "clock class", "none"}  # a class can be called
_CURVE = {"0", *_FUNCTION}
TAKEN = {
    (Adaptive, "classify"): _FUNCTION,
    (Adaptive, "queue"): {"0"},
    (Adaptive, "share"): _FUNCTION,
    (Adaptive, "wait"): {"0", "none"},
    (Backoff, "jitter"): {"0", "none"},
    (Breaker, "classify"): _FUNCTION,
    (Breaker, "consecutive"): _OPTIONAL,
    (Breaker, "slow_call"): _OPTIONAL,
    (Breaker, "trial_wait"): _OPTIONAL,
    (Budget, "ratio"): {"0"},  # the reserve alone
    (Budget, "reserve"): {"0"},
    (Bulkhead, "limit"): {"0"},  # switched off: nobody gets in
    (Bulkhead, "queue"): {"0", "none"},
    (Bulkhead, "wait"): {"0", "none"},
    (Chaos, "enabled"): {"true", "false", "class", "clock class"},
    (Chaos, "latency"): _CURVE,
    (Chaos, "rate"): {"0"},  # switched off: nobody is hit
    (Fallback, "on"): {"list", "none"},
    (Fallback, "use"): set(NONSENSE),  # a value to answer with
    (Gradient2, "queue"): _CURVE - {"none"},
    (Hedge, "after"): {"0", "inf"},  # all at once, or only after a failure
    (Hedge, "budget"): _OPTIONAL,
    (Hedge, "classify"): _FUNCTION,
    (Hedge, "on"): {"list", "none"},
    (Outliers, "max_share"): {"0"},  # switched off: nobody is ejected
    (Percentile, "window"): _OPTIONAL,
    (Quota, "burst"): _OPTIONAL,
    (RateLimit, "key"): _FUNCTION,
    (RateLimit, "wait"): {"0"},
    (Retry, "budget"): _OPTIONAL,
    (Retry, "delay"): {"0"},
    (Retry, "on"): {"list", "none"},  # no error: for those who repeat by `result` alone
    (Retry, "respect_retry_after"): {"true", "false"},
    (Retry, "result"): _FUNCTION,
    (SingleFlight, "key"): _FUNCTION,
    (Stale, "classify"): _FUNCTION,
    (Stale, "fresh"): {"0"},
    (Stale, "key"): _FUNCTION,
    (Stale, "on"): {"list", "none"},
    (Stale, "revalidate"): {"true", "false"},
    (Stale, "stale"): {"0"},
    (Stale, "store"): _OPTIONAL,
    (Vegas, "alpha"): _CURVE,
    (Vegas, "beta"): _CURVE,
    (Vegas, "decrease"): _FUNCTION,
    (Vegas, "increase"): _FUNCTION,
    (Vegas, "threshold"): _CURVE,
    (Window, "calls"): _OPTIONAL,
}
"""What is no nonsense there, by its name above."""

SAID = {(Window, "calls"): "window", (Window, "seconds"): "window"}
"""What the field is called where it is set, if not by its own name."""


def test_the_table_has_every_policy():
    ours = {cls for cls in _below(Policy) if cls.__module__.startswith("bookstore.") and cls is not Guard}
    assert ours <= LEAST.keys()


def _below(cls):
    return {cls}.union(*map(_below, cls.__subclasses__())) - {Policy}


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, field.name) for cls in LEAST for field in fields(cls) if field.init],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_no_field_takes_nonsense(cls, name):
    taken = TAKEN.get((cls, name), _everybodys(name))
    wrongly = {}
    for word, value in NONSENSE.items():
        try:
            cls(**{**LEAST[cls], name: value})
        except ValueError as error:
            said = str(error).split(" must be ")[0]
            if word in taken or said != SAID.get((cls, name), name):
                wrongly[word] = error
        else:
            if word not in taken:
                wrongly[word] = "taken"
    assert wrongly == {}


def _everybodys(name):
    return {"name": {"empty", "word"}, "key": {"empty", "word"}, "clock": _OPTIONAL}.get(name, set())


WRONG = {
    "the slowest call of all": ("q", lambda: Percentile(1)),  # one outlier would decide
    "per cent": ("q", lambda: Percentile(95)),
    "always in a panic": ("panic", lambda: Outliers(panic=0)),  # no ejection would ever count
    "answers kept for nobody": ("stale", lambda: Stale(fresh=0, stale=0)),
    "never revalidated": ("stale", lambda: Stale(fresh=1, stale=0, revalidate=True)),
    "a class for a store": ("store", lambda: RateLimit(Quota(5), store=Local)),
    "an async predicate": ("on", lambda: Retry(on=later)),
    "a class that can't be raised": ("fault", lambda: Chaos(fault=int)),
    "two headers": ("header", lambda: Deadline(1, header="x-deadline\r\nx-admin: 1")),
    "a class for a clock": ("clock", lambda: Budget(clock=FakeClock)),
    "targets without a name": ("targets", lambda: Balancer([1, 2])),
    "no weight": ("weight", lambda: Balancer({"a": 0})),
    "a weight that is none": ("weight", lambda: Balancer({"a": True})),
    "a start without end": ("slow_start", lambda: Balancer("ab", slow_start=math.inf)),
    "an address for a client": ("redis", lambda: RedisLimits("redis://localhost")),  # as good as an outage
    "a class for a client": ("redis", lambda: RedisLimits(Redis)),
    "a negative lease": ("lease", lambda: RedisLimits(Redis(), lease=-1)),
    "no timeout": ("timeout", lambda: RedisLimits(Redis(), timeout=math.nan)),
    "no prefix": ("prefix", lambda: RedisLimits(Redis(), prefix=None)),
}


@pytest.mark.interpreted  # compiled code says it in words of its own
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_in_its_own_way(wrong):
    field, make = WRONG[wrong]
    with pytest.raises(ValueError, match=f"^{field} must be "):
        make()
