import pytest

from bookstore.resilience import Budget


def retries(budget, calls):
    """How many of so many failing calls may be repeated."""
    granted = 0
    for _ in range(calls):
        budget.deposit()
        granted += budget.withdraw()
    return granted


@pytest.mark.parametrize(
    ("ratio", "reserve", "ttl", "expected"),
    [(0.2, 0, 10, 2_000), (0.1, 10, 1, 1_010), (0, 0, 10, 0), (2.0, 0, 10, 10_000)],
)
def test_share_of_the_traffic(clock, ratio, reserve, ttl, expected):
    assert retries(Budget(ratio, reserve, ttl, clock), 10_000) == pytest.approx(expected, abs=1)


def test_ratio_over_one_grants_more_than_calls(clock):
    budget = Budget(2.0, 0, clock=clock)
    for _ in range(10_000):
        budget.deposit()
    assert budget.balance == 20_000


def test_default_starts_at_a_hundred(clock):
    budget = Budget(clock=clock)
    assert sum(budget.withdraw() for _ in range(150)) == 100


def test_deposits_and_withdrawals_expire(clock):
    budget = Budget(1.0, 0, ttl=10.0, clock=clock)
    budget.deposit()
    budget.deposit()
    assert budget.withdraw()
    clock.tick(9.9)
    assert budget.balance == 1
    clock.tick(0.1)
    assert budget.balance == 0
    assert not budget.withdraw()
    budget.deposit()
    assert budget.withdraw()


def test_reserve_comes_back_after_ttl(clock):
    budget = Budget(0, 1, ttl=2.0, clock=clock)
    assert [budget.withdraw() for _ in range(3)] == [True, True, False]
    clock.tick(2)
    assert budget.withdraw()


def test_balance_of_exactly_one_is_enough(clock):
    budget = Budget(0.1, 0, clock=clock)
    for _ in range(10):
        budget.deposit()
    assert budget.withdraw()
    assert not budget.withdraw()


def test_takes_a_clock_unless_it_has_one(clock):
    given, bare = Budget(0, 1, 1.0, clock), Budget(0, 1, 1.0)
    for budget in (given, bare):
        budget.join(clock if budget is bare else None)
        assert budget.withdraw()
        assert not budget.withdraw()
    clock.tick(1)
    assert given.withdraw()
    assert bare.withdraw()


@pytest.mark.parametrize(
    ("settings", "field"), [((-0.1, 1), "ratio"), ((1, -1), "reserve"), ((1, 1, 0), "ttl")]
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=field):
        Budget(*settings)
