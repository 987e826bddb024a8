"""Limits, hedges and the rest from plain settings: by the registry, and by msgspec."""

import msgspec
import pytest

from bookstore.resilience import (
    AIMD,
    Adaptive,
    Balancer,
    Chaos,
    Gradient2,
    Hedge,
    Outliers,
    Quota,
    RateLimit,
    Registry,
    SingleFlight,
    Stale,
    Vegas,
)

SETTINGS = {
    "stale": {"fresh": 10, "stale": 60},
    "single_flight": {},
    "hedge": {"after": {"q": 0.95}, "max": 2},
    "rate_limit": {"quota": {"limit": 100, "per": 60.0, "algorithm": "sliding_log"}, "wait": 0.5},
    "adaptive": {"limit": {"kind": "vegas", "initial": 10, "max": 50}, "queue": 32},
    "chaos": {"rate": 0.1, "latency": 0.2, "enabled": False},
}


def test_the_registry_builds_them():
    registry = Registry()
    registry.load({"books": SETTINGS})
    stale, _, hedge, limit, adaptive, chaos = registry["books"].policies
    assert (stale.fresh, stale.stale) == (10, 60)
    assert (hedge.after.q, hedge.max) == (0.95, 2)
    assert limit.quota == Quota(100, per=60.0, algorithm="sliding_log")
    assert isinstance(adaptive.limit, Vegas)
    assert (adaptive.limit.initial, adaptive.queue) == (10, 32)
    assert (chaos.rate, chaos.enabled) == (0.1, False)


def test_a_reload_of_the_same_keeps_state():
    registry = Registry()
    registry.load({"books": SETTINGS})
    before = registry["books"].policies
    before[3].try_acquire()
    registry.load({"books": {**SETTINGS, "chaos": {"rate": 0.2, "latency": 0.2}}})
    after = registry["books"].policies
    assert [old is new for old, new in zip(before, after, strict=True)] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"rate_limit": {"quota": {"limit": 0}}}, "limit"),
        ({"rate_limit": {"quota": {"limit": 1, "brust": 2}}}, "brust"),
        ({"rate_limit": {"quota": {"limit": 5}, "cost": 6}}, "cost"),
        ({"adaptive": {"limit": {"kind": "vegas", "initial": 0}}}, "initial"),
        ({"adaptive": {"limit": {"initail": 1}}}, "initail"),
        ({"hedge": {"after": -1}}, "after"),
        ({"hedge": {"after": {"q": 2}}}, "q"),
        ({"stale": {"fresh": 1}}, "stale"),
        ({"chaos": {"rate": 2, "latency": 1}}, "rate"),
        ({"chaos": {"latency": 1, "enabled": "no"}}, "enabled"),
        ({"rate_limit": {"quota": 5}}, "quota"),
        ({"rate_limit": {"quota": {"limit": 5}, "key": "user"}}, "key"),
        ({"rate_limit": {"quota": {"limit": 5}, "store": "redis"}}, "store"),
        ({"single_flight": {"key": "isbn"}}, "key"),
        ({"stale": {"fresh": 1, "stale": 1, "key": "isbn"}}, "key"),
        ({"stale": {"fresh": 1, "stale": 1, "store": "redis"}}, "store"),
        ({"stale": {"fresh": 1, "stale": 1, "store": []}}, "store"),
        ({"stale": {"fresh": 1, "stale": 1, "classify": "http"}}, "classify"),
        ({"stale": {"fresh": 1, "stale": 1, "revalidate": "no"}}, "revalidate"),
        ({"hedge": {"after": 1, "budget": 0.2}}, "budget"),
        ({"hedge": {"after": 1, "classify": "http"}}, "classify"),
        ({"adaptive": {"share": 0.5}}, "share"),
        ({"adaptive": {"classify": "http"}}, "classify"),
        ({"timeout": 10**400}, "seconds"),
        ({"breaker": {"failure_rate": 10**400}}, "failure_rate"),
    ],
)
def test_wrong_settings_name_the_field(settings, named):
    with pytest.raises(ValueError, match=named):
        Registry().load({"books": settings})


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (Stale, SETTINGS["stale"]),
        (SingleFlight, SETTINGS["single_flight"]),
        (Hedge, SETTINGS["hedge"]),
        (Hedge, {"after": 0.05}),
        (RateLimit, SETTINGS["rate_limit"]),
        (Adaptive, SETTINGS["adaptive"]),
        (Chaos, SETTINGS["chaos"]),
        (Quota, {"limit": 5}),
        (Outliers, {"consecutive": 3}),
        (AIMD, {"initial": 5}),
        (Vegas, {"alpha": 3}),
        (Gradient2, {"queue": 8}),
    ],
)
def test_msgspec_builds_them(cls, settings):
    built = msgspec.convert(settings, cls)
    for key, value in settings.items():
        got = getattr(built, key)
        assert isinstance(value, dict) or got == value
    assert isinstance(built, cls)


def test_msgspec_finds_what_is_wrong():
    for cls, settings in ((Quota, {"limit": 0}), (Hedge, {"after": -1}), (Stale, {"fresh": 1})):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(settings, cls)


def test_a_balancer_from_settings():
    balancer = Balancer(["http://a"], pick="hash", eject=msgspec.convert({"consecutive": 3}, Outliers))
    assert balancer.targets == ("http://a",)
