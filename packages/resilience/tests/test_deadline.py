import asyncio

import pytest

from bookstore.resilience import (
    Deadline,
    DeadlineExceeded,
    Pipeline,
    Retry,
    current_deadline,
    outgoing_headers,
)


def test_there_is_none_by_default():
    assert current_deadline() is None
    assert outgoing_headers() == {}


async def test_cuts_off_the_whole_call(clock):
    events, tries = [], []
    pipeline = Pipeline("books", Deadline(2.5), Retry(delay=1.0), clock=clock, sinks=[events.append])

    async def fails():
        tries.append(current_deadline().remaining())
        await clock.sleep(0.5)
        raise ValueError

    call = asyncio.create_task(pipeline.call(fails))
    await clock.advance(2)
    assert tries == [2.5, 1.0]
    with pytest.raises(ValueError):
        await call
    with pytest.raises(DeadlineExceeded) as caught:
        await clock.finish(pipeline.call(clock.sleep, 9))
    assert caught.value.policy == "deadline"
    assert clock.now() == 1_004.5
    assert clock.pending == 0
    assert current_deadline() is None
    told = [event for event in events if event.kind in ("timeout", "call")]
    assert [(event.kind, event.verdict) for event in told] == [
        ("call", "fail"),
        ("timeout", "ignore"),
        ("call", "ignore"),
    ]


async def test_never_more_than_the_caller_has_left(clock):
    async def seen():
        return current_deadline().remaining()

    inner = Pipeline("inner", Deadline(2.0), clock=clock)
    assert await inner.call(seen) == 2.0
    assert await Pipeline("outer", Deadline(0.5), clock=clock).call(inner.call, seen) == 0.5
    assert await Pipeline("outer", Deadline(9.0), clock=clock).call(inner.call, seen) == 2.0


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_over_on_arrival_is_refused_before_any_work(clock, how):
    events, calls = [], []
    pipeline = Pipeline("books", Deadline(2.0), clock=clock, sinks=[events.append])
    with Deadline(1.0, clock=clock):
        clock.tick(1.0)
        with pytest.raises(DeadlineExceeded):
            await pipeline.call(calls.append, 1) if how == "async" else pipeline(calls.append)(1)
    assert calls == []
    assert [event.kind for event in events] == ["rejected", "call"]


async def test_a_value_in_time(clock):
    async def works(seconds):
        await clock.sleep(seconds)
        return "value"

    pipeline = Pipeline("books", Deadline(1.0), clock=clock)
    assert await pipeline.call(works, 0) == "value"
    assert await clock.finish(pipeline.call(works, 0.9)) == "value"
    assert clock.pending == 0


@pytest.mark.parametrize("seconds", [0, 0.5])
async def test_errors_stay_themselves(clock, seconds):
    async def fails():
        await clock.sleep(seconds)
        raise ValueError

    with pytest.raises(ValueError):
        await clock.finish(Pipeline("books", Deadline(1.0), clock=clock).call(fails))
    assert clock.pending == 0
    assert current_deadline() is None


async def test_an_error_before_waiting_stays_itself(clock):
    with pytest.raises(ValueError):
        await Pipeline("books", Deadline(1.0), clock=clock).call(int, "x")


def test_a_plain_function_runs_under_it(clock):
    @Pipeline("books", Deadline(1.0), clock=clock)
    def seen():
        return current_deadline().remaining()

    assert seen() == 1.0
    assert current_deadline() is None


def test_a_plain_function_isn_t_repeated_past_it(clock):
    calls = []

    @Pipeline("books", Deadline(1.0), Retry(attempts=9, delay=0.4), clock=clock)
    def fails():
        calls.append(1)
        raise ValueError

    with pytest.raises(ValueError):
        fails()
    assert len(calls) == 3


class TestBlocks:
    def test_marks_a_block(self, clock):
        with Deadline(0.3, clock=clock):
            assert current_deadline().remaining() == 0.3
            clock.tick(0.1)
            assert current_deadline().remaining() == 0.2
            with Deadline(2.0, clock=clock):
                assert current_deadline().remaining() == 0.2
            with Deadline(0.1, clock=clock):
                assert current_deadline().remaining() == 0.1
            clock.tick(5)
            assert current_deadline().remaining() == 0
            with pytest.raises(DeadlineExceeded), Deadline(1.0, clock=clock):
                raise AssertionError
        assert current_deadline() is None

    async def test_cuts_a_block_off(self, clock):
        async def work():
            with Deadline(1.0, clock=clock):
                await clock.sleep(9)

        async def work_async():
            async with Deadline(1.0, clock=clock):
                await clock.sleep(9)

        for make in (work, work_async):
            before = clock.now()
            with pytest.raises(DeadlineExceeded):
                await clock.finish(make())
            assert clock.now() == before + 1
            assert clock.pending == 0

    async def test_errors_and_cancellations_stay_themselves(self, clock):
        with pytest.raises(ValueError), Deadline(1.0, clock=clock):
            raise ValueError

        async def work():
            async with Deadline(1.0, clock=clock):
                await clock.sleep(9)

        task = asyncio.create_task(work())
        await clock.advance(0.5)
        task.cancel()
        await clock.advance(0)
        assert task.cancelled()
        assert clock.pending == 0

    async def test_tasks_begun_inside_inherit_it(self, clock):
        async def seen():
            return current_deadline().remaining()

        with Deadline(1.0, clock=clock):
            task = asyncio.create_task(seen())
        assert current_deadline() is None
        assert await task == 1.0

    def test_on_the_real_clock(self):
        with Deadline(60):
            assert 59 < current_deadline().remaining() <= 60


class TestHeaders:
    @pytest.mark.parametrize(
        ("seconds", "sent"), [(2.0, "2000"), (0.3, "300"), (0.57, "570"), (0.0009, "0"), (1.9999, "1999")]
    )
    def test_what_is_left_travels_in_whole_milliseconds(self, clock, seconds, sent):
        with Deadline(seconds, clock=clock):
            assert current_deadline().outgoing_headers() == outgoing_headers() == {"x-deadline-ms": sent}

    def test_under_a_name_of_choice(self, clock):
        with Deadline(1.0, header="x-left", clock=clock):
            assert outgoing_headers() == {"x-left": "1000"}

    @pytest.mark.parametrize(
        ("sent", "seconds"),
        [("300", 0.3), ("9000", 2.0), ("soon", 2.0), ("", 2.0), ("nan", 2.0), ("inf", 2.0), (None, 2.0)],
    )
    def test_an_arriving_deadline_can_only_shorten(self, sent, seconds):
        headers = {"accept": "*/*"} | ({} if sent is None else {"X-Deadline-Ms": sent})
        assert Deadline(2.0).arriving(headers).seconds == seconds

    @pytest.mark.parametrize("sent", ["0", "-1", "-inf"])
    def test_nothing_left_on_arrival(self, sent):
        with pytest.raises(DeadlineExceeded):
            Deadline(2.0).arriving({"x-deadline-ms": sent})

    def test_a_hop_never_lengthens(self, clock):
        with Deadline(0.2999, clock=clock):
            headers = outgoing_headers()
        assert Deadline(9.0).arriving(headers).seconds <= 0.2999


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": 1, "header": ""}, "header"),
        ({"seconds": 1, "header": 3}, "header"),
    ],
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Deadline(**settings)
