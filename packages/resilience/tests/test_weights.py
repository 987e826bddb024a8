"""Targets that are not equal: heavier ones, and those that have just come."""

from collections import Counter

import pytest

from bookstore.resilience.balance import Balancer
from bookstore.resilience.outliers import Outliers


def picks(balancer, times):
    """Pick and give back, so that nothing is in flight."""
    counts = Counter()
    for _ in range(times):
        lease = balancer.pick()
        counts[lease.target] += 1
        lease.drop()
    return counts


@pytest.mark.parametrize("pick", ["p2c", "ewma", "round_robin"])
def test_the_heavier_target_gets_more(clock, pick):
    balancer = Balancer({"a": 3.0, "b": 1.0}, pick=pick, clock=clock)
    assert picks(balancer, 400)["a"] == pytest.approx(300, abs=40)


def test_a_weighted_round_robin_spreads_evenly(clock):
    balancer = Balancer({"a": 3, "b": 1}, pick="round_robin", clock=clock)
    assert "".join(balancer.pick().target for _ in range(8)) in {"aabaaaba", "aaabaaab", "abaaabaa"}


def test_weights_move_only_their_share_of_the_keys(clock):
    even = Balancer("abc", pick="hash", clock=clock)
    uneven = Balancer({"a": 2, "b": 1, "c": 1}, pick="hash", clock=clock)
    keys = [str(key) for key in range(900)]
    before = [even.pick(key).target for key in keys]
    after = [uneven.pick(key).target for key in keys]
    assert Counter(after)["a"] == pytest.approx(450, abs=70)
    assert all(now == "a" for then, now in zip(before, after, strict=True) if then != now)


def test_what_runs_is_spread_by_weight(clock):
    balancer = Balancer({"a": 3, "b": 1}, clock=clock)
    for _ in range(80):
        balancer.pick()
    assert balancer.in_flight["a"] == pytest.approx(60, abs=6)


def test_a_newcomer_starts_slowly(clock):
    balancer = Balancer("a", slow_start=10.0, clock=clock)
    balancer.update("ab")
    assert picks(balancer, 200)["b"] < 50
    clock.tick(10)
    assert 60 < picks(balancer, 200)["b"] < 140


def test_all_are_new_at_the_beginning(clock):
    assert 60 < picks(Balancer("ab", slow_start=10.0, clock=clock), 200)["b"] < 140


def test_one_that_was_ejected_starts_slowly_too(clock):
    balancer = Balancer("ab", eject=Outliers(1, base=5.0, cap=5.0), slow_start=10.0, clock=clock)
    balancer.pick(avoid="a").fail()
    assert picks(balancer, 50) == {"a": 50}
    clock.tick(5)
    assert 0 < picks(balancer, 300)["b"] < 90
    clock.tick(10)
    assert 60 < picks(balancer, 200)["b"] < 140


def test_new_rules_keep_what_is_known(clock):
    balancer = Balancer("ab", eject=Outliers(1), clock=clock)
    balancer.pick(avoid="a").fail()
    lease = balancer.pick()
    balancer.reconfigure(pick="round_robin", eject=Outliers(3))
    assert balancer.ejected == ("b",)
    assert balancer.in_flight == {"a": 1, "b": 0}
    lease.ok()
    with pytest.raises(ValueError, match="pick"):
        balancer.reconfigure(pick="first", eject=None)


@pytest.mark.parametrize("weight", [0, -1, float("nan")])
def test_a_weight_is_more_than_nothing(clock, weight):
    with pytest.raises(ValueError, match="weight"):
        Balancer({"a": 1.0, "b": weight}, clock=clock)
