import asyncio

import pytest

from bookstore.resilience import CircuitOpen, Fallback, Pipeline, Rejected

both = pytest.mark.parametrize("how", ["async", "sync"])


async def answer(how, *policies, error=None, args=(), kwargs=None, sinks=()):
    def works(*_args, **_kwargs):
        if error is not None:
            raise error
        return "value"

    async def works_later(*args, **kwargs):
        return works(*args, **kwargs)

    pipeline = Pipeline("books", *policies, sinks=sinks)
    if how == "sync":
        return pipeline(works)(*args, **kwargs or {})
    return await pipeline.call(works_later, *args, **kwargs or {})


@both
async def test_answers_in_place_of_an_error(how):
    events = []
    assert await answer(how, Fallback(use="other")) == "value"
    assert await answer(how, Fallback(use="other"), error=ValueError(), sinks=[events.append]) == "other"
    assert [(event.kind, event.policy, dict(event.detail)) for event in events] == [
        ("fallback", "fallback", {"error": "ValueError"}),
        ("call", "pipeline", {}),
    ]


@pytest.mark.parametrize(
    ("use", "kwargs", "expected"),
    [
        (None, {}, None),
        ((), {}, ()),
        ([1, 2], {}, [1, 2]),
        (lambda: "called", {}, "called"),
        (lambda error: f"{error!r}", {"page": 2}, "ValueError()"),
        (lambda error, isbn: (type(error), isbn), {}, (ValueError, "isbn")),
        (lambda error, isbn, page: (type(error), isbn, page), {"page": 2}, (ValueError, "isbn", 2)),
        (lambda *args, **kwargs: (len(args), kwargs), {"page": 2}, (2, {"page": 2})),
        (dict, {}, {}),
        (list, {}, []),
    ],
)
@both
async def test_what_it_answers_with(how, use, kwargs, expected):
    assert await answer(how, Fallback(use=use), error=ValueError(), args=("isbn",), kwargs=kwargs) == expected


@pytest.mark.parametrize("chain", [False, True])
def test_an_async_answer_is_none_for_a_plain_function(chain):
    async def other(_error):
        return "other"

    pipeline = Pipeline("books", Fallback(use=[lambda: 1, other] if chain else other))
    with pytest.raises(TypeError, match="async"):
        pipeline(lambda: "value")


async def test_an_async_answer_is_awaited():
    async def other(error):
        await asyncio.sleep(0)
        return repr(error)

    assert await answer("async", Fallback(use=other), error=ValueError()) == "ValueError()"


@pytest.mark.parametrize(
    ("on", "error", "meant"),
    [
        (None, ValueError(), True),
        (None, CircuitOpen("breaker"), True),
        (Exception, CircuitOpen("breaker"), True),
        (ValueError, ValueError(), True),
        (ValueError, KeyError(), False),
        ((Rejected, ConnectionError), CircuitOpen("breaker"), True),
        ((Rejected, ConnectionError), KeyError(), False),
        (lambda error: isinstance(error, Rejected), CircuitOpen("breaker"), True),
        (lambda error: isinstance(error, Rejected), KeyError(), False),
    ],
)
@both
async def test_which_errors_it_is_for(how, on, error, meant):
    if meant:
        assert await answer(how, Fallback(use="other", on=on), error=error) == "other"
    else:
        with pytest.raises(type(error)) as caught:
            await answer(how, Fallback(use="other", on=on), error=error)
        assert caught.value is error


@pytest.mark.parametrize("on", [None, BaseException, lambda _: True])
@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_cancellations_pass(on, error):
    def fails():
        raise error

    with pytest.raises(error):
        Pipeline("books", Fallback(use="other", on=on))(fails)()


@both
async def test_a_chain_asks_one_after_the_other(how):
    asked = []

    def step(name, error=None):
        def use(before):
            asked.append((name, type(before)))
            if error is not None:
                raise error
            return name

        return use

    chain = Fallback(use=[step("a", KeyError()), step("b", OSError()), step("c")])
    assert await answer(how, chain, error=ValueError()) == "c"
    assert asked == [("a", ValueError), ("b", KeyError), ("c", OSError)]


@both
async def test_the_last_error_of_a_chain_is_raised_and_each_is_asked_once(how):
    asked = []

    def use(error):
        asked.append(error)
        raise KeyError

    with pytest.raises(KeyError) as caught:
        await answer(how, Fallback(use=[use]), error=ValueError())
    assert len(asked) == 1
    assert isinstance(caught.value.__context__, ValueError)


@both
async def test_a_chain_ends_at_an_error_that_isn_t_meant(how):
    def use():
        raise KeyError

    with pytest.raises(KeyError):
        await answer(how, Fallback(use=(use, lambda: "never"), on=ValueError), error=ValueError())
