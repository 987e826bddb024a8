"""The arithmetic of quotas, against a count by hand."""

import pytest

from bookstore.resilience.quota import Gcra, Keys, Quota, SlidingLog


@pytest.mark.parametrize("meter", [Gcra, SlidingLog])
def test_no_window_ever_gets_more(clock, meter):
    counts = meter(Quota(7, per=2.0, algorithm="gcra" if meter is Gcra else "sliding_log"))
    spent = []
    for _ in range(3000):
        clock.tick(clock.random() * 0.4)
        cost = 1 + int(clock.random() * 4)
        delay = counts.reserve("", cost, clock.now())
        if delay == 0:
            spent += [clock.now()] * cost
        else:
            assert counts.reserve("", cost, clock.now(), 0) == delay  # asked again, the same answer
            clock.tick(delay)
            assert counts.reserve("", cost, clock.now()) == 0  # and what was promised is kept
            spent += [clock.now()] * cost
    most = 14 if meter is Gcra else 7
    for index, begin in enumerate(spent):
        assert sum(1 for t in spent[index : index + 30] if t < begin + 2.0 - 1e-6) <= most


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_what_is_due_by_rounding_alone_is_due(algorithm):
    counts = Quota(1, per=0.1, algorithm=algorithm).meter()
    for n in range(2000):
        assert counts.reserve("", 1, 1000 + n * 0.1) == 0.0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_remaining_by_the_meter_alone(algorithm):
    counts = Quota(4, per=2.0, algorithm=algorithm).meter()
    assert (counts.remaining("", 10.0), counts.reset_after("", 10.0)) == (4, 0.0)
    for _ in range(8):
        counts.reserve("", 1, 10.0, wait=99.0)
    assert counts.remaining("", 10.0) == 0  # not less, with four in line
    assert counts.reserve("other", 4, 10.0) == 0.0
    assert counts.remaining("other", 11.999) == (3 if algorithm == "gcra" else 0)
    assert counts.remaining("other", 12.0) == 4
    assert counts.reset_after("other", 11.5) == 0.5
    assert counts.reset_after("other", 99.0) == 0.0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_few_keys_are_kept_and_one_in_use_always(algorithm):
    counts = Quota(2, per=10.0, algorithm=algorithm).meter()
    states = counts._full if algorithm == "gcra" else counts._logs
    for n in range(10):
        counts.reserve(f"a{n}", 1, 0.0)
    counts.reserve("new", 1, 100.0)
    assert len(states) == 11  # not worth a look yet
    counts.reserve("used", 1, 110.0)
    counts.reserve("used", 1, 119.0)
    for n in range(1100):
        counts.reserve(f"b{n}", 1, 121.0)
    assert "a0" not in states
    assert counts.remaining("used", 121.0) == 1


def test_a_log_under_steady_use_stays_short():
    counts = SlidingLog(Quota(5, per=1.0, algorithm="sliding_log"))
    for n in range(500):
        counts.reserve("", 1, n * 0.25)
    assert len(counts._logs[""]) <= 5


def test_keys_are_looked_through_seldom():
    looks = []
    keys = Keys(lambda state, _: looks.append(state))
    for n in range(20_000):
        keys.welcome(0.0)
        keys[str(n)] = n
    assert len(keys) == 20_000
    assert len(looks) < 2 * 20_000
