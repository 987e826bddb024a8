import tomllib

import pytest

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    CircuitOpen,
    Deadline,
    Fallback,
    Registry,
    Retry,
    Timeout,
    Window,
    backoff,
)
from bookstore.resilience.settings import build, differ

FULL = """
[books]
deadline = 2.0
retry.attempts = 4
retry.delay = { base = 0.05, cap = 2, jitter = "full" }
retry.budget = { ratio = 0.1, reserve = 5 }
breaker = { window = { time = 20.0, buckets = 5 }, min_calls = 5, open_for = { base = 5, cap = 60 } }
bulkhead = { limit = 8, wait = 0.1 }
timeout = 0.4

[covers]
breaker = { window = { count = 50 }, consecutive = 3 }
"""


def test_builds_from_a_file(clock):
    registry = Registry(clock=clock).load(tomllib.loads(FULL))
    assert sorted(registry) == ["books", "covers"]
    assert len(registry) == 2
    assert "books" in registry
    assert "ships" not in registry
    deadline, retry, breaker, bulkhead, timeout = registry["books"].policies
    assert not differ(deadline, Deadline(2.0))
    assert (retry.attempts, retry.delay) == (4, backoff(0.05, cap=2, jitter="full"))
    assert (retry.budget.ratio, retry.budget.reserve) == (0.1, 5)
    assert (breaker.window, breaker.open_for) == (Window.time(20.0, buckets=5), backoff(5, cap=60))
    assert (bulkhead.limit, bulkhead.wait, timeout.seconds) == (8, 0.1, 0.4)
    assert registry["covers"].policies[0].window == Window.count(50)
    assert registry["books"].clock is clock
    with pytest.raises(KeyError):
        registry["ships"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"books": {"breker": {}}}, r"^books\.breker: no such policy; there are .*breaker"),
        (
            {"books": {"breaker": {"minimum": 1}}},
            r"^books\.breaker\.minimum: no such setting; there are .*min_calls",
        ),
        ({"books": {"breaker": {"clock": 1}}}, r"^books\.breaker\.clock: no such setting"),
        ({"books": {"breaker": {"_circuit": 1}}}, r"^books\.breaker\._circuit: no such setting"),
        ({"books": {"breaker": {"failure_rate": 2}}}, r"^books\.breaker: failure_rate must be"),
        ({"books": {"breaker": {"failure_rate": "x"}}}, r"^books\.breaker: failure_rate must be"),
        ({"books": {"breaker": {"window": {"hours": 2}}}}, r"^books\.breaker\.window\.hours: no such"),
        ({"books": {"breaker": {"window": {"count": 0}}}}, r"^books\.breaker\.window: window must"),
        ({"books": {"retry": {"delay": {"base": 1}}}}, r"^books\.retry\.delay: .*cap"),
        ({"books": {"retry": {"budget": {"ratios": 1}}}}, r"^books\.retry\.budget\.ratios: no such"),
        ({"books": {"breaker": {"window": 5}}}, r"^books\.breaker: window must be"),
        ({"books": {"breaker": None}}, r"^books\.breaker: window must be"),
        ({"books": {"retry": {"on": "OSError"}}}, r"^books\.retry: on must be"),
        ({"books": 3}, r"^books: must be a table of policies, not 3"),
        ({"books": {"timeout": 0}}, r"^books\.timeout: seconds must be"),
        ({"books": {"timeout": {}}}, r"^books\.timeout: .*seconds"),
    ],
    ids=str,
)
def test_wrong_files_name_the_field_and_change_nothing(spec, message):
    registry = Registry().load({"books": {"timeout": 1.0}, "covers": {"timeout": 1.0}})
    before = registry["books"], registry["books"].policies
    with pytest.raises(ValueError, match=message):
        registry.load({"aaa": {"timeout": 9.0}, "covers": {"timeout": 9.0}} | spec)
    assert (registry["books"], registry["books"].policies) == before
    assert sorted(registry) == ["books", "covers"]
    assert registry["covers"].policies[0].seconds == 1.0


class TestReload:
    def test_unchanged_entries_keep_their_state(self, clock):
        registry = Registry(clock=clock).load(tomllib.loads(FULL))
        pipeline, policies = registry["books"], registry["books"].policies
        policies[2].force_open()
        registry.load(tomllib.loads(FULL))
        assert registry["books"] is pipeline
        assert registry["books"].policies == policies
        assert policies[2].state == "forced_open"

    async def test_changed_settings_reach_decorated_functions(self, clock):
        registry = Registry(clock=clock).load({"books": {"retry": {"attempts": 1}}})
        calls = []

        @registry["books"]
        async def fails():
            calls.append(1)
            raise ValueError

        registry.load({"books": {"retry": {"attempts": 3, "delay": 0}}})
        with pytest.raises(ValueError):
            await clock.finish(fails())
        assert len(calls) == 3

    def test_a_breaker_keeps_its_state_through_a_change(self, clock):
        registry = Registry(clock=clock).load({"books": {"breaker": {"consecutive": 1}, "timeout": 1}})
        breaker, timeout = registry["books"].policies
        breaker.acquire().fail()
        registry.load({"books": {"breaker": {"consecutive": 5}, "timeout": 1}})
        assert registry["books"].policies == (breaker, timeout)
        assert (breaker.state, breaker.consecutive) == ("open", 5)

    def test_a_bulkhead_keeps_its_calls_through_a_change(self, clock):
        registry = Registry(clock=clock).load({"books": {"bulkhead": {"limit": 2}}})
        (bulkhead,) = registry["books"].policies
        permit = bulkhead.acquire()
        registry.load({"books": {"bulkhead": {"limit": 1, "queue": 3}}})
        assert registry["books"].policies == (bulkhead,)
        assert (bulkhead.in_flight, bulkhead.limit, bulkhead.queue, bulkhead._slots.queue) == (1, 1, 3, 3)
        permit.ok()
        assert bulkhead.in_flight == 0

    def test_policies_come_and_go(self, clock):
        registry = Registry(clock=clock).load({"books": {"retry": {}, "breaker": {}, "timeout": 1}})
        retry, breaker, _ = registry["books"].policies
        registry.load({"books": {"deadline": 3, "retry": {}, "breaker": {}}})
        assert [policy.kind for policy in registry["books"].policies] == ["deadline", "retry", "breaker"]
        assert registry["books"].policies[1:] == (retry, breaker)

    def test_entries_come_and_go(self):
        registry = Registry().load({"books": {"timeout": 1}, "covers": {"timeout": 1}})
        registry.load({"books": {"timeout": 1}, "ships": {"timeout": 1}})
        assert sorted(registry) == ["books", "ships"]

    def test_what_can_t_be_linked_changes_nothing(self, clock):
        registry = Registry(clock=clock).load({"aaa": {"breaker": {}}, "books": {"retry": {}}})
        registry["books"](lambda: 1)
        breaker = registry["aaa"].policies[0]
        with pytest.raises(TypeError, match="hedge"):
            registry.load({"aaa": {"breaker": {"trials": 9}}, "books": {"hedge": {"after": 1}}})
        assert breaker.trials == 3

    def test_the_order_is_as_written_and_an_odd_one_is_told_in_the_log(self, clock, caplog):
        spec = {"books": {"breaker": {}, "retry": {}}}
        registry = Registry(clock=clock).load(spec).load(spec)
        assert [policy.kind for policy in registry["books"].policies] == ["breaker", "retry"]
        assert "books: breaker stands outside retry: retry belongs outside" in caplog.text


class TestDefine:
    def test_the_same_settings_give_the_same_pipeline(self, clock):
        registry = Registry(clock=clock)
        books = registry.define("books", Retry(), Breaker(window=Window.count(10)), Timeout(1))
        assert registry.define("books", Retry(), Breaker(window=Window.count(10)), Timeout(1)) is books
        assert registry["books"] is books
        assert list(registry) == ["books"]
        assert "books" in registry

    @pytest.mark.parametrize(
        "others",
        [
            (Retry(attempts=4), Timeout(1)),
            (Retry(), Timeout(2)),
            (Timeout(1), Retry()),
            (Retry(),),
            (Retry(), Timeout(1), Timeout(1)),
            (Retry(budget=None), Timeout(1)),
            (Retry(delay=backoff(1, cap=2)), Timeout(1)),
            (Retry(), Timeout(1, name="other")),
            (Retry(), Bulkhead(1)),
        ],
        ids=str,
    )
    @pytest.mark.filterwarnings("ignore::bookstore.resilience.MisorderWarning")
    def test_other_settings_are_an_error(self, others):
        registry = Registry()
        registry.define("books", Retry(), Timeout(1))
        with pytest.raises(ValueError, match=r"^books: already defined"):
            registry.define("books", *others)

    def test_agrees_with_what_was_loaded(self):
        registry = Registry().load({"books": {"timeout": 1}})
        assert registry.define("books", Timeout(1)) is registry["books"]
        with pytest.raises(ValueError, match="books"):
            registry.define("books", Timeout(2))

    def test_a_file_must_agree_with_what_was_defined(self):
        registry = Registry()
        books = registry.define("books", Timeout(1))
        with pytest.raises(ValueError, match=r"^books: already defined"):
            registry.load({"books": {"timeout": 2}})
        registry.load({"covers": {"timeout": 2}, "books": {"timeout": 1}})
        assert registry["books"] is books
        assert len(registry) == 2


def test_sinks_are_handed_to_all(clock):
    events = []
    registry = Registry(clock=clock, sinks=iter([events.append])).load(
        {"a": {"retry": {}}, "b": {"breaker": {}}}
    )
    registry.define("c", Timeout(1))
    registry["a"](int)()
    registry["b"](int)()
    assert [event.name for event in events if event.kind == "call"] == ["a", "b"]
    registry["b"].policies[0].force_open()
    with pytest.raises(CircuitOpen):
        registry["b"](int)()


def test_a_bare_value_stands_for_the_first_field():
    assert build(Fallback, "other", "x").use == "other"
    assert build(Deadline, 3, "x").seconds == 3


def test_msgspec_builds_policies_too():
    msgspec = pytest.importorskip("msgspec")
    retry = msgspec.convert({"attempts": 5, "delay": {"base": 1, "cap": 9}, "budget": None}, Retry)
    assert (retry.attempts, retry.delay, retry.budget) == (5, backoff(1, cap=9), None)
    breaker = msgspec.convert({"window": {"calls": 9}, "open_for": 3.0}, Breaker)
    assert (breaker.window, breaker.min_calls, breaker.state) == (Window.count(9), 9, "closed")
    for cls in (Timeout, Deadline):
        assert msgspec.convert({"seconds": 2}, cls).seconds == 2
    assert msgspec.convert({"limit": 2}, Bulkhead).limit == 2
    assert msgspec.convert({"use": [1]}, Fallback).use == [1]
    with pytest.raises(msgspec.ValidationError, match="attempts"):
        msgspec.convert({"attempts": 0}, Retry)
