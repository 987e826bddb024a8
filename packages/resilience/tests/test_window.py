import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore.resilience import Window
from bookstore.resilience.window import CountWindow, TimeWindow


def sums(window):
    return window.calls, window.failures, window.slow


def test_count_window_keeps_the_last_outcomes():
    window = CountWindow(3)
    for failed, slow, expected in [
        (True, False, (1, 1, 0)),
        (False, True, (2, 1, 1)),
        (True, True, (3, 2, 2)),
        (False, False, (3, 1, 2)),
        (False, False, (3, 1, 1)),
        (False, False, (3, 0, 0)),
        (True, False, (3, 1, 0)),
    ]:
        window.add(0.0, failed, slow)
        window.expire(1e9)
        assert sums(window) == expected


@given(st.integers(1, 6), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_count_window_equals_a_list(size, outcomes):
    window = CountWindow(size)
    for at, (failed, slow) in enumerate(outcomes, 1):
        window.add(0.0, failed, slow)
        kept = outcomes[max(0, at - size) : at]
        assert sums(window) == (len(kept), sum(f for f, _ in kept), sum(s for _, s in kept))


def test_time_window_slides_bucket_by_bucket():
    window, now = TimeWindow(10.0, 10), 1_000.0
    seen = []
    for failed in (True, True, False, False, False):
        window.add(now, failed)
        window.add(now)
        now += 2
        window.expire(now)
        seen.append((window.calls, window.failures / window.calls))
    assert seen == [(2, 0.5), (4, 0.5), (6, 1 / 3), (8, 0.25), (8, 0.125)]
    window.expire(now + 2)
    assert sums(window) == (6, 0, 0)


def test_time_window_age_equal_to_the_window_drops_out():
    window = TimeWindow(5.0)
    window.add(1_000.0, True)
    window.add(1_000.1)
    window.add(1_000.8, True, True)
    window.expire(1_004.8)
    assert sums(window) == (3, 2, 1)
    window.expire(1_005.8)
    assert sums(window) == (0, 0, 0)


@pytest.mark.parametrize("idle", [5, 10, 35, 5_000])
def test_time_window_after_idling_holds_only_what_is_new(idle):
    window = TimeWindow(5.0)
    window.add(1_000.0, True)
    window.add(1_000.0 + idle)
    assert sums(window) == (1, 0, 0)


def test_time_window_just_below_its_age_still_counts():
    window = TimeWindow(10.0)
    window.add(1_000.5)
    window.expire(1_010.499)
    assert window.calls == 1
    window.expire(1_010.5)
    assert window.calls == 0


def test_time_window_tolerates_sums_of_tenths():
    window, now = TimeWindow(1.0, 10), 0.0
    window.add(now)
    for _ in range(10):
        now += 0.1  # ends at 0.9999999999999999
    window.expire(now)
    assert window.calls == 0


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 4_000), st.booleans(), st.booleans()), max_size=60),
)
def test_time_window_never_holds_too_old_and_forgets_by_less_than_a_bucket(buckets, steps):
    seconds, now, log = 6.0, 1_000.0, []
    window = TimeWindow(seconds, buckets)
    for millis, failed, slow in steps:
        now = round(now + millis / 1000, 3)
        window.add(now, failed, slow)
        log.append((now, failed, slow))
        window.expire(now)
        young = [one for one in log if now - one[0] < seconds - seconds / buckets - 1e-6]
        alive = [one for one in log if now - one[0] < seconds - 1e-6]
        for which, (least, most) in enumerate(
            zip(
                (len(young), sum(f for _, f, _ in young), sum(s for *_, s in young)),
                (len(alive), sum(f for _, f, _ in alive), sum(s for *_, s in alive)),
                strict=True,
            )
        ):
            assert least <= sums(window)[which] <= most


def test_time_window_holds_no_more_than_its_buckets():
    window = TimeWindow(10.0, 10)
    for step in range(10_000):
        window.add(step / 10)
    assert len(window._closed) <= 10


def test_window_makes_its_memory():
    assert isinstance(Window.count(7).memory(), CountWindow)
    memory = Window.time(3.0, buckets=6).memory()
    assert isinstance(memory, TimeWindow)
    assert (memory.seconds, memory._width) == (3.0, 0.5)
    assert Window.time(3.0).buckets == 10
    assert memory is not Window.time(3.0).memory()
    assert Window.time(3.0) == Window.time(3.0) != Window.time(4.0)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"calls": 0}, "window"),
        ({"calls": 1.5}, "window"),
        ({"seconds": 0}, "window"),
        ({"seconds": float("inf")}, "window"),
        ({"seconds": 10, "buckets": 0}, "buckets"),
        ({}, "window"),
        ({"calls": 1, "seconds": 1.0}, "window"),
    ],
    ids=str,
)
def test_window_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be (calls or seconds, not Window|a )"):
        Window(**settings)


class TestBuckets:
    """Where one bucket ends and the next begins, with buckets of a second (or a tenth) and ten of them."""

    def test_a_fresh_window_is_empty(self):
        window = TimeWindow(5.0)
        assert sums(window) == (0, 0, 0)
        assert window._width == 0.5
        window.add(0.7)
        window.expire(0.8)
        assert window.calls == 1

    def test_adding_expires_what_is_due_within_a_bucket(self):
        window = TimeWindow(10.0)
        for at in (0.2, 10.1, 10.3):
            window.add(at, True, True)
        assert sums(window) == (2, 2, 2)

    def test_a_bucket_leaves_as_a_whole_with_its_first(self):
        window = TimeWindow(10.0)
        for at in (0.2, 10.1, 10.3):
            window.add(at)
        window.expire(20.05)
        assert window.calls == 2
        window.expire(20.1)
        assert window.calls == 0

    @pytest.mark.parametrize("looked", [True, False])
    def test_on_an_edge_begins_the_next(self, looked):
        window = TimeWindow(1.0, 10)
        window.add(0.95)
        window.add(1.0)
        if looked:
            window.expire(1.5)
        window.expire(1.95)
        assert window.calls == 1

    def test_looking_while_idle_is_harmless(self):
        window = TimeWindow(5.0)
        window.add(1_000.0)
        window.expire(1_010.0)
        window.add(1_010.0)
        window.expire(1_014.9)
        assert window.calls == 1
        window.expire(1_015.0)
        assert window.calls == 0

    def test_each_bucket_leaves_with_what_was_in_it(self):
        window = TimeWindow(10.0)
        for second, times in enumerate((3, 1, 4, 1, 5)):
            for nth in range(times):
                window.add(second, nth == 0, nth < 2)
        window.add(9.0)
        left = []
        for second in range(6):
            window.expire(10.0 + second)
            left.append(sums(window))
        assert left == [(12, 4, 6), (11, 3, 5), (7, 2, 3), (6, 1, 2), (1, 0, 0), (1, 0, 0)]
