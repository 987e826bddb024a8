import asyncio
import inspect
import warnings
from contextlib import nullcontext, suppress
from functools import partial, partialmethod
from typing import NamedTuple

import pytest

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    Deadline,
    Event,
    Fallback,
    Hedge,
    MisorderWarning,
    Pipeline,
    Policy,
    Retry,
    Timeout,
)
from bookstore.resilience.clock import SYSTEM


class Mark(Policy):
    """Writes down that it was passed, and a place of its own."""

    def __init__(self, name, log):
        super().__init__(name=name)
        object.__setattr__(self, "log", log)

    def layer(self, inner, scope):
        async def layer(call):
            self.log.append((self.name, scope.name))
            return await inner(call)

        return layer

    def sync_layer(self, inner, scope):
        def layer(call):
            self.log.append((self.name, scope.name))
            return inner(call)

        return layer


def plain(a, b=2):
    return a, b


async def later(a, b=2):
    await asyncio.sleep(0)
    return a, b


class Shop:
    def plain(self, a, b=2):
        return plain(a, b)

    async def later(self, a, b=2):
        return await later(a, b)

    @classmethod
    async def of_class(cls, a, b=2):
        return await later(a, b)

    @staticmethod
    async def static(a, b=2):
        return await later(a, b)


class Pair(NamedTuple):
    a: int
    b: int = 2


class Callable:
    def __call__(self, a, b=2):
        return plain(a, b)


class AsyncCallable:
    async def __call__(self, a, b=2):
        return await later(a, b)


ASYNC = {
    "function": later,
    "method": Shop().later,
    "classmethod": Shop.of_class,
    "staticmethod": Shop.static,
    "partial": partial(later, b=2),
    "partial of partial": partial(partial(later), b=2),
    "partial of method": partial(Shop().later, b=2),
    "object": AsyncCallable(),
    "partial of object": partial(AsyncCallable(), b=2),
}
PLAIN = {
    "function": plain,
    "method": Shop().plain,
    "partial": partial(plain, b=2),
    "object": Callable(),
    "lambda": lambda a, b=2: (a, b),
    "class": Pair,
}


@pytest.mark.parametrize("kind", ASYNC)
async def test_decorates_what_is_async(kind):
    log = []
    fn = Pipeline("books", Mark("outer", log), Mark("inner", log))(ASYNC[kind])
    assert inspect.iscoroutinefunction(fn)
    assert await fn(1) == (1, 2)
    assert await fn(1, b=3) == (1, 3)
    assert log == [("outer", "books"), ("inner", "books")] * 2


@pytest.mark.parametrize("kind", PLAIN)
def test_decorates_what_is_plain(kind):
    log = []
    fn = Pipeline("books", Mark("outer", log), Mark("inner", log))(PLAIN[kind])
    assert not inspect.iscoroutinefunction(fn)
    assert fn(1) == (1, 2)
    assert log == [("outer", "books"), ("inner", "books")]


@pytest.mark.parametrize("kind", [*ASYNC, *(f"plain {kind}" for kind in PLAIN)])
async def test_calls_anything(kind):
    fn = PLAIN[kind[6:]] if kind.startswith("plain ") else ASYNC[kind]
    log = []
    assert await Pipeline("books", Mark("only", log)).call(fn, 1) == (1, 2)
    assert len(log) == 1


async def test_calls_what_gives_a_future_or_an_awaitable():
    class Awaitable:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return 4

    future = asyncio.get_running_loop().create_future()
    future.set_result(3)
    pipeline = Pipeline("books", Timeout(1))
    assert await pipeline.call(lambda: future) == 3
    assert await pipeline.call(Awaitable) == 4


async def test_as_a_method_decorator():
    pipeline = Pipeline("books", Retry())

    class Decorated:
        @pipeline
        async def later(self, a):
            """Docs."""
            return self, a

        @pipeline
        def plain(self, a):
            return self, a

        @staticmethod
        @pipeline
        async def static(a):
            return a

        @classmethod
        @pipeline
        async def of_class(cls, a):
            return cls, a

        part = partialmethod(plain, 7)

    it = Decorated()
    assert await it.later(1) == (it, 1)
    assert it.plain(1) == (it, 1)
    assert it.part() == (it, 7)
    assert await it.static(1) == 1
    assert await it.of_class(1) == (Decorated, 1)
    assert (Decorated.later.__name__, Decorated.later.__doc__) == ("later", "Docs.")


def test_generators_are_refused():
    async def async_generator():
        yield

    def generator():
        yield

    for fn in (generator, async_generator, partial(generator)):
        with pytest.raises(TypeError, match="generator"):
            Pipeline("books")(fn)


def test_a_plain_function_that_gives_a_coroutine_is_refused():
    with pytest.raises(TypeError, match="async def"):
        Pipeline("books")(lambda: later(1))()


async def test_without_policies_it_just_calls():
    assert await Pipeline("books").call(later, 1) == (1, 2)
    assert Pipeline("books")(plain)(1) == (1, 2)


def test_shows_itself():
    assert repr(Pipeline("books", Timeout(1))) == "Pipeline('books', Timeout(name='', seconds=1))"
    assert Pipeline("books").clock is SYSTEM
    assert repr(SYSTEM) == "SystemClock()"


class TestEvents:
    @pytest.mark.parametrize("how", ["async", "sync"])
    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (None, "ok"),
            (ValueError, "fail"),
            (asyncio.CancelledError, "ignore"),
            (KeyboardInterrupt, "ignore"),
        ],
        ids=str,
    )
    async def test_each_call_ends_with_one_event(self, clock, how, error, verdict):
        events = []
        pipeline = Pipeline("books", clock=clock, sinks=[events.append])

        def works():
            clock.tick(1.5)
            if error is not None:
                raise error

        def run():
            if how == "sync":
                return pipeline(works)()
            with suppress(StopIteration):
                return pipeline.call(works).send(None)

        with nullcontext() if error is None else pytest.raises(error):
            run()
        assert events == [Event("call", "pipeline", "books", 1, 1.5, verdict)]

    @pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
    async def test_a_sink_that_raises_alters_nothing_and_is_counted(self, clock, error):
        events = []

        def bad(_):
            raise error

        pipeline = Pipeline("books", Retry(attempts=2, delay=0), clock=clock, sinks=[bad, events.append, bad])
        with pytest.raises(ValueError):
            await clock.finish(pipeline.call(int, "x"))
        assert await clock.finish(pipeline.call(later, 1)) == (1, 2)
        assert [event.kind for event in events] == ["attempt", "retry", "attempt", "call", "attempt", "call"]
        assert pipeline.sink_errors == 12

    async def test_a_sink_may_look_at_the_breaker(self, clock):
        breaker, seen = Breaker(consecutive=1), []
        pipeline = Pipeline(
            "books", breaker, clock=clock, sinks=[lambda event: seen.append((event.kind, breaker.state))]
        )
        with pytest.raises(ValueError):
            await pipeline.call(int, "x")
        assert seen == [("transition", "open"), ("call", "open")]

    def test_an_event_is_frozen(self):
        with pytest.raises(AttributeError):
            Event("call", "pipeline", "books").kind = "retry"
        assert Event("call", "pipeline", "books").detail == {}

    async def test_calls_at_once_don_t_mix_their_attempts(self, clock):
        events = []
        pipeline = Pipeline("books", Retry(attempts=3, delay=1.0), clock=clock, sinks=[events.append])

        async def fails(times, left=[]):  # noqa: B006 - one list a call, below
            left.append(1)
            if len(left) <= times:
                raise ValueError
            return times

        calls = [asyncio.create_task(pipeline.call(fails, n, [])) for n in (0, 1, 2)]
        await clock.advance(5)
        assert [call.result() for call in calls] == [0, 1, 2]
        assert sorted(event.attempt for event in events if event.kind == "call") == [1, 2, 3]


class TestOrder:
    @pytest.mark.parametrize(
        "policies",
        [
            (Fallback(use=1), Retry(), Breaker(), Bulkhead(1), Timeout(1)),
            (Fallback(use=1), Deadline(1), Retry(), Breaker(), Timeout(1)),
            (Deadline(1), Fallback(use=1), Retry(), Timeout(1)),
            (Retry(), Retry()),
            (),
        ],
        ids=str,
    )
    def test_good_orders_are_silent(self, policies):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Pipeline("books", *policies)

    @pytest.mark.parametrize(
        "policies",
        [
            (Timeout(1), Retry()),
            (Breaker(), Retry()),
            (Timeout(1), Breaker()),
            (Bulkhead(1), Breaker()),
            (Retry(), Fallback(use=1)),
            (Retry(), Deadline(1)),
            (Fallback(use=1), Timeout(1), Bulkhead(1)),
        ],
        ids=str,
    )
    def test_bad_orders_warn_at_build(self, policies):
        with pytest.warns(MisorderWarning, match="belongs outside") as caught:
            Pipeline("books", *policies)
        assert caught[0].filename == __file__

    def test_bad_orders_warn_at_replacement_too(self):
        pipeline = Pipeline("books")
        with pytest.warns(MisorderWarning):
            pipeline.replace(Timeout(1), Retry())


class TestReplace:
    async def test_decorated_functions_follow(self):
        log = []
        pipeline = Pipeline("books", Mark("old", log))
        fn_later, fn_plain = pipeline(later), pipeline(plain)
        pipeline.replace(Mark("new", log))
        await fn_later(1)
        fn_plain(1)
        assert log == [("new", "books")] * 2

    async def test_calls_under_way_end_as_they_began(self, clock):
        pipeline = Pipeline("books", Retry(attempts=2, delay=1.0), clock=clock)
        tries = []

        async def fails():
            tries.append(1)
            raise ValueError

        call = asyncio.create_task(pipeline.call(fails))
        await clock.advance(0.5)
        pipeline.replace()
        await clock.advance(5)
        assert isinstance(call.exception(), ValueError)
        assert len(tries) == 2

    def test_what_doesn_t_fit_changes_nothing(self):
        log = []
        pipeline = Pipeline("books", Mark("old", log))
        fn = pipeline(plain)
        with pytest.raises(TypeError, match="hedge"):
            pipeline.replace(Hedge(after=1))
        assert fn(1) == (1, 2)
        assert len(pipeline.policies) == len(log) == 1


def test_a_bare_policy_has_no_layer():
    with pytest.raises(TypeError, match="layer"):
        Policy()
    with pytest.raises(TypeError, match="timeout can't take over settings"):
        Timeout(1).adapt(Timeout(2))


@pytest.mark.parametrize("thing", [Retry, 3, None])
def test_what_is_no_policy_is_refused_at_build(thing):
    with pytest.raises(TypeError, match=r"^books: .* is no policy$"):
        Pipeline("books", thing)
