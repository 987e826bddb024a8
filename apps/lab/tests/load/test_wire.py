"""The client of the generator: reads what servers write, and never takes half an answer for a whole one."""

import pytest

from bookstore.lab.load.summary import percentile
from bookstore.lab.load.wire import BrokenOffError, RefusedError, Wire, ask
from bookstore.stores.ports import any_free


@pytest.mark.parametrize(
    ("path", "body"), [("/", b"{}"), ("/chunked", b"abcde"), ("/until-the-end", b"all of it")]
)
async def test_all_ways_to_end_a_body(toy, path, body):
    async with Wire([toy.url]) as wire:
        for _ in range(2):
            assert (await wire.send("GET", path)).body == body


@pytest.mark.parametrize("path", ["/half", "/nonsense"])
async def test_half_an_answer_is_none(toy, path):
    async with Wire([toy.url]) as wire:
        with pytest.raises(BrokenOffError):
            await wire.send("GET", path)
        assert (await wire.send("GET", "/")).body == b"{}"


async def test_an_answer_that_never_comes(toy):
    async with Wire([toy.url]) as wire:
        with pytest.raises(TimeoutError):
            await wire.send("GET", "/never", seconds=0.1)
        assert (await wire.send("POST", "/v1/orders", {"x": 1})).json() == {"id": 7}


async def test_a_closed_door_is_passed_by(toy):
    closed = f"http://127.0.0.1:{any_free()}"
    with pytest.raises(RefusedError):
        await ask(closed, "GET", "/")
    async with Wire([closed, toy.url]) as wire:
        for _ in range(4):
            assert (await wire.send("GET", "/")).is_good


@pytest.mark.parametrize(("share", "value"), [(0, 1), (50, 5), (90, 9), (99, 10), (100, 10)])
def test_percentiles_are_exact(share, value):
    assert percentile(list(range(1, 11)), share) == value
