"""Who gets the next call, and who is left out."""

import asyncio
from collections import Counter

import pytest

from bookstore.resilience.balance import Balancer
from bookstore.resilience.outliers import Outliers


def picks(balancer, times, **how):
    """Pick and give back, so that nothing is in flight."""
    counts = Counter()
    for _ in range(times):
        lease = balancer.pick(**how)
        counts[lease.target] += 1
        lease.drop()
    return counts


def fail(balancer, target, times=1):
    """Make one target fail, and touch no other."""
    others = tuple(name for name in balancer.targets if name != target)
    for _ in range(times):
        lease = balancer.pick("k", avoid=others)
        assert lease.target == target
        lease.fail(ValueError())


def out(balancer):
    return set(balancer.ejected)


# --- picking -------------------------------------------------------------------------------------------


def test_calls_in_flight_are_told_by_target(clock):
    balancer = Balancer("abc", pick="round_robin", clock=clock)
    first, *_ = [balancer.pick() for _ in range(4)]
    assert balancer.in_flight == {"a": 2, "b": 1, "c": 1}
    assert balancer.usable == ("a", "b", "c")
    first.ok()
    first.drop()  # settled once
    assert balancer.in_flight == {"a": 1, "b": 1, "c": 1}


def test_round_robin_takes_each_in_turn(clock):
    balancer = Balancer("abc", pick="round_robin", clock=clock)
    assert [balancer.pick().target for _ in range(7)] == list("abcabca")


def test_p2c_picks_two_distinct_and_the_less_busy(clock):
    balancer = Balancer("ab", clock=clock)
    busy = balancer.pick(avoid="b")
    assert picks(balancer, 200) == {"b": 200}
    busy.ok()
    assert min(picks(balancer, 200).values()) > 60
    assert balancer.in_flight == {"a": 0, "b": 0}


def test_p2c_spreads_what_runs(clock):
    balancer = Balancer("abcd", clock=clock)
    for _ in range(400):
        balancer.pick()
    assert all(80 <= count <= 120 for count in balancer.in_flight.values())


def test_equals_are_chosen_by_chance_not_by_order(clock):
    counts = picks(Balancer("abc", clock=clock), 3000)
    assert all(900 < counts[target] < 1100 for target in "abc")


def test_ewma_prefers_the_faster_and_jumps_to_a_peak(clock):
    balancer = Balancer("ab", pick="ewma", clock=clock)
    for target, other, seconds in (("a", "b", 0.1), ("b", "a", 0.3)):
        lease = balancer.pick(avoid=other)
        assert lease.target == target
        lease.ok(elapsed=seconds)
    assert picks(balancer, 50) == {"a": 50}
    one, two, three = (balancer.pick(avoid="b") for _ in range(3))
    assert picks(balancer, 50) == {"b": 50}  # .1 s with three in flight is slower than .3 s with none
    for lease in (one, two, three):
        lease.drop()
    balancer.pick(avoid="b").ok(elapsed=5.0)
    assert picks(balancer, 50) == {"b": 50}
    clock.tick(60)
    balancer.pick(avoid="a").ok(elapsed=0.3)
    assert picks(balancer, 50) == {"a": 50}  # the peak has decayed


def test_ewma_averages_by_time(clock):
    balancer = Balancer("ab", pick="ewma", clock=clock)
    balancer.pick(avoid="b").ok(elapsed=1.0)
    clock.tick(10)
    balancer.pick(avoid="b").ok(elapsed=0.5)
    cost = balancer._targets["a"].slow(clock.now())
    assert cost == pytest.approx(0.5)  # 1 / e is less than .5: a peak again
    clock.tick(5)
    balancer.pick(avoid="b").ok(elapsed=0.1)
    assert balancer._targets["a"].slow(clock.now()) == pytest.approx(0.5 * 0.60653 + 0.1 * 0.39347, abs=1e-4)


def test_ewma_tries_who_is_unknown_once_until_it_answers(clock):
    balancer = Balancer("ab", pick="ewma", clock=clock)
    balancer.pick(avoid="b").ok(elapsed=0.1)
    first = balancer.pick()
    assert first.target == "b"
    assert picks(balancer, 20) == {"a": 20}
    first.ok(elapsed=0.01)
    assert picks(balancer, 20) == {"b": 20}


@pytest.mark.parametrize("way", ["p2c", "ewma"])
def test_failing_fast_is_not_attractive(clock, way):
    balancer = Balancer("ab", pick=way, eject=None, clock=clock)
    balancer.pick(avoid="a").ok(elapsed=0.2)
    fail(balancer, "a", 3)
    assert picks(balancer, 50) == {"b": 50}
    clock.tick(300)
    balancer.pick(avoid="a").ok(elapsed=0.2)
    assert picks(balancer, 200)["a"] > 50  # it has been long enough


def test_hash_keeps_a_key_where_it_is(clock):
    balancer = Balancer("abcd", pick="hash", eject=Outliers(consecutive=1, base=10), clock=clock)
    before = {key: balancer.pick(key).target for key in map(str, range(400))}
    assert all(70 < count < 130 for count in Counter(before.values()).values())
    fail(balancer, "a")
    after = {key: balancer.pick(key).target for key in before}
    assert all(after[key] == target for key, target in before.items() if target != "a")
    assert "a" not in after.values()
    clock.tick(10)
    assert {key: balancer.pick(key).target for key in before} == before


def test_avoid_gives_way_when_nothing_else_is_left(clock):
    balancer = Balancer("ab", clock=clock)
    assert picks(balancer, 20, avoid={"a"}) == {"b": 20}
    assert sum(picks(balancer, 20, avoid={"a", "b"}).values()) == 20


def test_a_lease_is_settled_once(clock):
    balancer = Balancer("a", eject=Outliers(consecutive=2), clock=clock)
    for first in ("ok", "fail", "drop"):
        lease = balancer.pick()
        assert balancer.in_flight == {"a": 1}
        for settle in (first, "ok", "fail", "drop"):
            getattr(lease, settle)()
            assert balancer.in_flight == {"a": 0}


def test_update_keeps_what_is_known_of_those_that_stay(clock):
    balancer = Balancer("abc", eject=Outliers(consecutive=1), clock=clock)
    fail(balancer, "b")
    running = balancer.pick(avoid="b")
    balancer.update("bcd")
    assert balancer.targets == ("b", "c", "d")
    assert out(balancer) == {"b"}
    running.ok()
    balancer.update("b")
    assert picks(balancer, 5) == {"b": 5}  # the only one left is used, whatever it did
    clock.tick(30)
    assert out(balancer) == set()
    assert repr(balancer) == "Balancer(['b'], pick='p2c')"


# --- ejection ------------------------------------------------------------------------------------------


def test_ejected_for_longer_each_time_up_to_the_cap(clock):
    balancer = Balancer("ab", clock=clock, eject=Outliers(consecutive=5, base=30, cap=300))
    for span in (30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300):
        fail(balancer, "a", 4)
        assert out(balancer) == set()
        fail(balancer, "a", 1)
        assert out(balancer) == {"a"}
        assert picks(balancer, 20) == {"b": 20}
        clock.tick(span - 0.001)
        assert out(balancer) == {"a"}
        clock.tick(0.001)
        assert out(balancer) == set()


def test_health_takes_growth_back(clock):
    balancer = Balancer("ab", clock=clock, eject=Outliers(consecutive=1, base=30, cap=70))

    def span():
        fail(balancer, "a")
        begun = clock.now()
        while out(balancer):
            clock.tick(1)
        return clock.now() - begun

    assert [span(), span(), span(), span()] == [30, 60, 70, 70]
    clock.tick(9.9)
    assert span() == 70
    clock.tick(10)
    assert span() == 70  # three times the base less one, plus one
    clock.tick(20)
    assert span() == 60
    clock.tick(1000)
    assert span() == 30


def test_a_success_between_begins_the_count_anew(clock):
    balancer = Balancer("ab", clock=clock)
    for _ in range(10):
        fail(balancer, "a", 4)
        balancer.pick(avoid="b").ok()
    assert out(balancer) == set()


def test_the_last_target_is_never_ejected(clock):
    alone = Balancer("a", clock=clock, eject=Outliers(consecutive=1, max_share=1.0))
    fail(alone, "a", 20)
    assert (out(alone), picks(alone, 3)) == (set(), {"a": 3})
    pair = Balancer("ab", clock=clock, eject=Outliers(consecutive=1, max_share=1.0))
    fail(pair, "a")
    for _ in range(20):
        pair.pick().fail()
    assert out(pair) == {"a"}


@pytest.mark.parametrize(("share", "most"), [(0.0, 0), (0.1, 1), (0.3, 3), (0.5, 5), (0.99, 9), (1.0, 9)])
def test_no_more_than_the_share_but_one_in_any_case(clock, share, most):
    names = [f"t{n}" for n in range(10)]
    balancer = Balancer(names, clock=clock, eject=Outliers(consecutive=1, max_share=share, panic=1.0))
    for name in names:
        others = [other for other in names if other != name]
        balancer.pick(avoid=others).fail()
    assert len(out(balancer)) == most


def test_above_the_panic_share_all_are_used(clock):
    balancer = Balancer("abcd", clock=clock, eject=Outliers(consecutive=1, max_share=1.0, panic=0.5))
    fail(balancer, "a")
    fail(balancer, "b")
    assert set(picks(balancer, 300)) == {"c", "d"}
    fail(balancer, "c")
    assert len(out(balancer)) == 3
    clock.tick(25)  # until the penalties have faded
    assert set(picks(balancer, 500)) == {"a", "b", "c", "d"}
    fail(balancer, "c", 3)  # what fails while it's out isn't out for longer
    clock.tick(5)
    assert out(balancer) == set()


def test_outcomes_of_calls_begun_before_do_not_count(clock):
    balancer = Balancer("ab", clock=clock, eject=Outliers(consecutive=2))
    old = [balancer.pick(avoid="b") for _ in range(6)]
    for lease in old[:4]:
        lease.fail()
    assert out(balancer) == {"a"}
    clock.tick(30)
    assert out(balancer) == set()
    fail(balancer, "a")
    old[4].ok()  # neither forgives the failure since
    old[5].fail()  # nor adds to it
    assert out(balancer) == set()
    fail(balancer, "a")
    assert out(balancer) == {"a"}


def test_ejections_are_told(clock):
    events = []
    balancer = Balancer("ab", name="books", clock=clock, eject=Outliers(consecutive=1), sinks=[events.append])
    fail(balancer, "a")
    clock.tick(30)
    picks(balancer, 3)
    told = [(e.kind, e.policy, e.name, e.detail) for e in events]
    assert told == [
        ("ejected", "balancer", "books", {"target": "a"}),
        ("returned", "balancer", "books", {"target": "a"}),
    ]


async def test_many_at_once_leave_nothing_in_flight(clock):
    balancer = Balancer("abc", clock=clock)

    async def call(n):
        lease = balancer.pick()
        try:
            await clock.sleep(0.01 * (n % 7))
        except asyncio.CancelledError:
            lease.drop()
            raise
        lease.ok() if n % 3 else lease.fail()

    tasks = [asyncio.create_task(call(n)) for n in range(60)]
    await clock.advance(0.02)
    for task in tasks[::4]:
        task.cancel()
    await clock.advance(1)
    assert balancer.in_flight == {"a": 0, "b": 0, "c": 0}


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("consecutive", {"consecutive": 0}),
        ("base", {"base": 0}),
        ("cap", {"cap": float("inf")}),
        ("cap", {"base": 30, "cap": 29}),
        ("max_share", {"max_share": 1.1}),
        ("panic", {"panic": -0.1}),
        ("interval", {"interval": 0}),
    ],
)
def test_wrong_rules_name_the_field(field, settings):
    with pytest.raises(ValueError, match=field):
        Outliers(**settings)


@pytest.mark.parametrize(
    ("field", "targets", "settings"),
    [
        ("targets", [], {}),
        ("targets", ["a", "a"], {}),
        ("pick", ["a"], {"pick": "best"}),
        ("eject", ["a"], {"eject": 5}),
    ],
)
def test_wrong_balancers_name_the_field(field, targets, settings):
    with pytest.raises(ValueError, match=field):
        Balancer(targets, **settings)


def test_hash_without_a_key_spreads(clock):
    balancer = Balancer("ab", pick="hash", clock=clock)
    assert {balancer.pick().target, balancer.pick().target} == {"a", "b"}


@pytest.mark.parametrize("way", ["p2c", "ewma"])
def test_back_from_an_ejection_it_is_picked_again(clock, way):
    balancer = Balancer("ab", pick=way, eject=Outliers(consecutive=3, base=10), clock=clock)
    held = [balancer.pick() for _ in range(12)]
    for lease in held:
        if lease.target == "a":
            lease.fail(OSError())
        else:
            lease.drop()
    assert balancer.ejected == ("a",)
    clock.tick(10)
    seen = set()
    for _ in range(20):
        lease = balancer.pick()
        seen.add(lease.target)
        lease.drop()
    assert seen == {"a", "b"}
