"""Reads that arrive together are asked together, and never see less than they should."""

import asyncio

import pytest

from bookstore.service.batch import Batch


class Source:
    """Answers when it is told to."""

    def __init__(self):
        self.asked = []
        self.version = 0
        self.another = asyncio.Event()

    async def fetch(self, keys):
        version = self.version
        done = asyncio.get_running_loop().create_future()
        self.asked.append((list(keys), done))
        self.another.set()
        await done
        return {key: (key, version) for key in keys if key != "missing"}

    def answer(self, number, error=None):
        _, done = self.asked[number]
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)


async def _turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_read_goes_out_at_once_and_the_rest_travel_together():
    source = Source()
    batch = Batch(source.fetch, width=1)
    reads = [asyncio.create_task(batch.load("a"))]
    await _turns()
    reads += [asyncio.create_task(batch.load(key)) for key in ("b", "c", "b", "missing")]
    await _turns()
    assert [keys for keys, _ in source.asked] == [["a"]]
    source.answer(0)
    await _turns()
    assert [keys for keys, _ in source.asked] == [["a"], ["b", "c", "missing"]]
    source.answer(1)
    assert await asyncio.gather(*reads) == [("a", 0), ("b", 0), ("c", 0), ("b", 0), None]


async def test_a_read_never_joins_a_query_that_was_sent_before_it():
    source = Source()
    batch = Batch(source.fetch, width=2)
    early = asyncio.create_task(batch.load("a"))
    await _turns()
    source.version = 1
    late = asyncio.create_task(batch.load("a"))
    await _turns()
    source.answer(0)
    source.answer(1)
    assert (await early, await late) == (("a", 0), ("a", 1))


async def test_an_error_reaches_those_who_asked_and_nobody_else():
    source = Source()
    batch = Batch(source.fetch, width=1)
    first = asyncio.create_task(batch.load("a"))
    await _turns()
    second = asyncio.create_task(batch.load("a"))
    source.answer(0, ConnectionError("gone"))
    await _turns()
    source.answer(1)
    with pytest.raises(ConnectionError):
        await first
    assert await second == ("a", 0)


async def test_a_reader_that_gives_up_takes_nothing_from_the_others():
    source = Source()
    batch = Batch(source.fetch, width=1)
    impatient = asyncio.create_task(batch.load("a"))
    patient = asyncio.create_task(batch.load("a"))
    await _turns()
    impatient.cancel()
    await _turns()
    source.answer(0)
    assert await patient == ("a", 0)
    assert impatient.cancelled()


async def test_a_reader_waits_no_longer_for_the_queries_before_its_own():
    source = Source()
    batch = Batch(source.fetch, width=1, patience=0.05)
    first = asyncio.create_task(batch.load("a"))
    await _turns()
    # Its query never goes out: the one before it hangs.
    with pytest.raises(TimeoutError):
        await batch.load("b")
    with pytest.raises(TimeoutError):
        await first
    source.answer(0)
    await _turns()
    source.answer(1)
    later = asyncio.create_task(batch.load("b"))
    await _turns()
    source.answer(2)
    assert await later == ("b", 0)


async def test_a_batch_is_bounded():
    source = Source()
    batch = Batch(source.fetch, width=1, most=10)
    reads = [asyncio.create_task(batch.load(key)) for key in range(25)]
    for number in range(3):
        await _turns()
        source.answer(number)
    await asyncio.gather(*reads)
    assert [len(keys) for keys, _ in source.asked] == [10, 10, 5]


async def test_a_query_that_follows_another_waits_for_company_and_a_first_one_does_not():
    source = Source()
    batch = Batch(source.fetch, width=1, linger=0.02)
    reads = [asyncio.create_task(batch.load("a"))]
    await _turns()
    assert [keys for keys, _ in source.asked] == [["a"]]
    reads.append(asyncio.create_task(batch.load("b")))
    await _turns()
    source.answer(0)
    await _turns()
    reads.append(asyncio.create_task(batch.load("c")))
    await _turns()
    assert len(source.asked) == 1
    source.another.clear()
    async with asyncio.timeout(20):
        await source.another.wait()
    assert source.asked[1][0] == ["b", "c"]
    source.answer(1)
    assert await asyncio.gather(*reads) == [("a", 0), ("b", 0), ("c", 0)]
