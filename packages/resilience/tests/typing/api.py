"""Never run: pyright and mypy read it, both strict, and every type must be what it says."""

from typing import TYPE_CHECKING, Any, assert_type

from bookstore.resilience import (
    Breaker,
    Bulkhead,
    Deadline,
    Event,
    Fallback,
    Outcome,
    Pipeline,
    Registry,
    Retry,
    Timeout,
    Verdict,
    Window,
    backoff,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def classify(outcome: Outcome[Any]) -> Verdict:
    return "ok" if outcome.error is None else "fail"


def sink(event: Event) -> None:
    assert_type(event.elapsed, float)


books = Pipeline(
    "books",
    Fallback(use=None, on=(ValueError, KeyError)),
    Deadline(2.0, header="x-left"),
    Retry(attempts=3, on=lambda error: isinstance(error, OSError), delay=backoff(0.1, cap=2, jitter=0.25)),
    Breaker(window=Window.count(10), classify=classify, open_for=backoff(5, cap=60)),
    Bulkhead(8, queue=4, wait=0.1),
    Timeout(0.4),
    sinks=[sink],
)


@books
async def book(isbn: str, *, page: int = 1) -> bytes:
    return isbn.encode() * page


@books
def title(isbn: str) -> str:
    return isbn


class Shop:
    @books
    async def price(self, isbn: str) -> float:
        return float(isbn)


class Fetch:
    async def __call__(self, isbn: str) -> bytes:
        return isbn.encode()


fetch = books(Fetch())


async def uses(shop: Shop) -> None:
    assert_type(await book("1", page=2), bytes)
    assert_type(title("1"), str)
    assert_type(await shop.price("1"), float)
    assert_type(await fetch("1"), bytes)
    assert_type(await books.call(book, "1", page=2), bytes)
    assert_type(await Registry(sinks=[sink]).load({})["books"].call(shop.price, "1"), float)
    _fits: Callable[[str], Coroutine[Any, Any, float]] = shop.price
    async with Breaker() as breaker, Bulkhead(1) as bulkhead, Timeout(1):
        assert_type(breaker, Breaker)
        assert_type(bulkhead, Bulkhead)
    await books.call(book, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    title(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
