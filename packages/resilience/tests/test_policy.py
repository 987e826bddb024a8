import asyncio
from dataclasses import dataclass, fields

import pytest

from bookstore.resilience import (
    Adaptive,
    Breaker,
    Bulkhead,
    Chaos,
    Deadline,
    Fallback,
    Hedge,
    Outcome,
    Pipeline,
    Policy,
    Quota,
    RateLimit,
    Retry,
    SingleFlight,
    Stale,
    Timeout,
    backoff,
)
from bookstore.resilience.delays import Backoff
from bookstore.resilience.guard import Guard
from bookstore.resilience.outcome import judge, verdict_of
from bookstore.resilience.policy import Call
from bookstore.resilience.settings import build
from bookstore.resilience.window import Window


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoWords(Policy):
    either: Window | Backoff | None = None

    def layer(self, inner, scope):  # noqa: ARG002
        return inner


def test_kind_and_label():
    assert (TwoWords.kind, TwoWords().label, TwoWords(name="mine").label) == (
        "two_words",
        "two_words",
        "mine",
    )


POLICIES = [
    Adaptive,
    Breaker,
    lambda: Bulkhead(1),
    lambda: Chaos(fault=OSError),
    lambda: Deadline(1),
    lambda: Fallback(use=1),
    lambda: Hedge(after=1),
    lambda: RateLimit(Quota(1)),
    Retry,
    SingleFlight,
    lambda: Stale(fresh=1, stale=1),
    lambda: Timeout(1),
]


@pytest.mark.parametrize("make", POLICIES, ids=lambda make: make().kind)
def test_a_policy_is_only_itself_and_shows_its_settings(make):
    assert len({make(), make()}) == 2
    assert "(_" not in repr(make())
    assert ", _" not in repr(make())
    assert not [one.name for one in fields(make()) if one.init and one.name.startswith("_")]


def test_a_rate_limit_may_stand_anywhere():
    Pipeline("p", RateLimit(Quota(1)), Fallback(use=1))  # a warning would be an error
    Pipeline("p", Chaos(fault=OSError), RateLimit(Quota(1)))


def test_a_fork_is_the_same_call_with_its_own_attempt():
    call = Call(print, (1,), {"end": ""})
    fork = call.fork(3)
    assert (fork.fn, fork.args, fork.kwargs, fork.attempt, call.attempt) == (print, (1,), {"end": ""}, 3, 1)


def test_a_bare_guard_gives_no_permits():
    with pytest.raises(TypeError, match="acquire"):
        Guard()


def test_kind_chooses_among_settings_classes():
    assert build(TwoWords, {"either": {"kind": "window", "count": 3}}, "x").either == Window.count(3)
    assert build(TwoWords, {"either": {"kind": "backoff", "base": 1, "cap": 2}}, "x").either == backoff(
        1, cap=2
    )
    for wrong in ({"kind": "door"}, {"count": 3}):
        with pytest.raises(ValueError, match=r"^x\.either\.kind: must be one of window, backoff"):
            build(TwoWords, {"either": wrong}, "x")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, "ok"),
        (ValueError(), "fail"),
        (TimeoutError(), "fail"),
        (asyncio.CancelledError(), "ignore"),
        (BaseExceptionGroup("all", [KeyboardInterrupt()]), "ignore"),
        (ExceptionGroup("all", [ValueError()]), "fail"),
    ],
    ids=repr,
)
def test_the_verdict_without_a_classifier(error, verdict):
    assert judge(error) == verdict_of(Outcome(error=error)) == verdict


def test_an_outcome_by_default():
    assert Outcome() == (None, None, 0.0, 1)
