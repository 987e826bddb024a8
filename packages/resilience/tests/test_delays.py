import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore.resilience import backoff


def delays(policy, clock, count):
    last, seen = None, []
    for attempt in range(1, count + 1):
        last = policy.delay(attempt, clock, last)
        seen.append(last)
    return seen


def test_grows_to_its_cap(clock):
    assert delays(backoff(1, cap=5), clock, 5) == [1, 2, 4, 5, 5]
    assert delays(backoff(1, cap=100, factor=3), clock, 4) == [1, 3, 9, 27]
    assert delays(backoff(2, cap=9, factor=1), clock, 3) == [2, 2, 2]


@pytest.mark.parametrize("attempt", [1_025, 1_000_000])
@pytest.mark.parametrize("jitter", [None, "full", "equal", "decorrelated", "decorrelated_v2", 0.25])
def test_late_attempts_stay_finite(clock, attempt, jitter):
    delay = backoff(2, cap=30, jitter=jitter).delay(attempt, clock)
    assert 0 < delay <= 30


@pytest.mark.parametrize(
    ("jitter", "chance", "expected"),
    [
        ("full", 0.25, 1.0),
        ("full", 0.5, 2.0),
        ("equal", 0.0, 2.0),
        ("equal", 0.5, 3.0),
        (0.25, 0.0, 3.0),
        (0.25, 0.5, 4.0),
        (0.25, 0.8, 4.6),
        (0, 0.8, 4.0),
        (1, 0.25, 2.0),
    ],
)
def test_jitter_formulas(clock, jitter, chance, expected):
    clock.random = lambda: chance
    assert backoff(1, cap=30, jitter=jitter).delay(3, clock) == pytest.approx(expected)


def test_jitter_never_passes_the_cap(clock):
    clock.random = lambda: 0.999
    assert backoff(1, cap=4, jitter=0.5).delay(3, clock) == 4


def test_decorrelated_lies_between_base_and_thrice_the_last(clock):
    clock.random = lambda: 0.5
    policy = backoff(1, cap=100, jitter="decorrelated")
    assert delays(policy, clock, 3) == [2.0, 3.5, 5.75]
    assert policy.delay(7, clock, 0.1) == 2.0  # a shorter wait than the base counts as the base


@given(st.lists(st.floats(0, 0.999), min_size=1, max_size=12))
def test_decorrelated_bounds(chances):
    class Dice:
        def random(self):
            return thrown.pop()

    thrown, last = list(chances), None
    policy = backoff(0.5, cap=8, jitter="decorrelated")
    for attempt in range(1, len(chances) + 1):
        delay = policy.delay(attempt, Dice(), last)
        assert 0.5 <= delay <= min(8, 3 * (last or 0.5)) + 1e-9
        last = delay


POLLY = [0.897405, 1.093004, 2.035748, 4.045979, 8.083632]


def test_decorrelated_v2_is_pollys_formula(clock):
    clock.random = lambda: 0.5
    policy = backoff(1, cap=1_000, jitter="decorrelated_v2")
    assert delays(policy, clock, 5) == pytest.approx(POLLY, abs=1e-6)
    # Without the step before, one that is as likely stands in: the same with chance that stands still.
    assert [policy.delay(n, clock) for n in range(1, 6)] == pytest.approx(POLLY, abs=1e-6)


def test_decorrelated_v2_steps_telescope(clock):
    thrown = iter([0.1, 0.9, 0.2, 0.5])
    clock.random = lambda: next(thrown)
    steps = delays(backoff(1, cap=1_000, jitter="decorrelated_v2"), clock, 4)
    assert sum(steps) == pytest.approx(POLLY[0] + POLLY[1] + POLLY[2] + POLLY[3], abs=1e-5)


def test_decorrelated_v2_is_capped(clock):
    clock.random = lambda: 0.5
    assert delays(backoff(1, cap=2, jitter="decorrelated_v2"), clock, 5)[2:] == [2, 2, 2]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"base": 0}, "base"),
        ({"base": float("nan")}, "base"),
        ({"base": 2, "cap": 1}, "cap"),
        ({"cap": float("inf")}, "cap"),
        ({"factor": 0.5}, "factor"),
        ({"factor": -1}, "factor"),
        ({"jitter": 1.5}, "jitter"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": "some"}, "jitter"),
    ],
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=field):
        backoff(**{"base": 1, "cap": 10} | settings)


def test_attempts_count_from_one(clock):
    with pytest.raises(ValueError, match="attempt"):
        backoff(1, cap=2).delay(0, clock)
