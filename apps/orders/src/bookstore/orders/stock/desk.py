"""The stock of a book: asked for, and remembered for when it can't be."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter

from bookstore.contracts.orders import StockCheck
from bookstore.orders.books import Books
from bookstore.orders.holding import BooksUnavailable
from bookstore.orders.stock.memory import StockMemory
from bookstore.service.problem import Problem

Source = Literal["service", "redis_cache"]


class StockDesk:
    """Tells how many copies of a book can be sold."""

    def __init__(self, books: Books, memory: StockMemory, registry: CollectorRegistry) -> None:
        self._books = books
        self._memory = memory
        answers = Counter(
            "bookstore_fallback",
            "Answers about the stock of a book, by who gave them.",
            ["dependency", "source"],
            registry=registry,
        )
        self._answers = {source: answers.labels("books", source) for source in get_args(Source)}

    async def check(self, book_id: int) -> StockCheck:
        """As books tells it, or as it told it last.

        Raises:
            Problem: 404 if the book isn't on sale.
            BooksUnavailable: if books can't say, and nothing is remembered.
        """
        try:
            quantity = await self._books.stock(book_id)
        except BooksUnavailable:
            known = await self._memory.recall(book_id)
            if known is None:
                raise
            return self._answer(known, "redis_cache")
        except Problem:
            await self._memory.forget(book_id)
            raise
        await self._memory.keep(book_id, quantity)
        return self._answer(quantity, "service")

    def _answer(self, quantity: int, source: Source) -> StockCheck:
        self._answers[source].inc()
        return StockCheck(quantity=quantity, source=source)
