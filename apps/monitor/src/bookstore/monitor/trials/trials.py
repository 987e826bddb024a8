"""What the buttons do: look round, look at a book, buy one, and come as a crowd."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Final, Self

import msgspec

from bookstore.contracts.console import Tried, TriedAnswer, TriedSummary
from bookstore.monitor.trials.customer import Customer
from bookstore.monitor.trials.gate import AT_ONCE, Gate, Heard
from bookstore.service.problem import Problem

FLOOD: Final = 200
"""Requests of a flood."""
LONGEST_FLOOD: Final = 10.0
MOST: Final = 8
"""Trials at a time."""

_PAGES: Final = (
    "/v2/books?limit=5",
    "/v2/books?limit=5&offset=5",
    "/v2/books?q=the&limit=5",
    "/v2/books?in_stock=true&limit=5",
)
_SHOWN_OF_EACH: Final = 2
_CREATED: Final = 201


class _Book(msgspec.Struct):
    id: int


class _Page(msgspec.Struct):
    data: list[_Book]


class _Order(msgspec.Struct):
    id: int


_page = msgspec.json.Decoder(_Page).decode
_order = msgspec.json.Decoder(_Order).decode


class Trials:
    """Sends requests as a customer does, while it is held open with `async with`."""

    def __init__(self, gateway: str) -> None:
        self._gate = Gate(gateway)
        self._customer = Customer(self._gate)
        self._flooding = False
        self._running = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._gate.aclose()

    async def run(self, what: str) -> Tried:
        """Do it, and tell what came back.

        Raises:
            Problem: 409 while another flood runs, 503 while too much is tried already, or without a gateway.
        """
        if self._running >= MOST:
            raise Problem(503, "too-many-trials", "too much is tried at the moment")
        self._running += 1
        try:
            if what == "flood":
                return await self._flood()
            answers = await {"browse": self._browse, "book": self._book, "buy": self._buy}[what]()
            return Tried(answers=answers, summary=summary(answers))
        finally:
            self._running -= 1

    async def _browse(self) -> list[TriedAnswer]:
        return [(await self._gate.ask("GET", path)).shown for path in _PAGES]

    async def _book(self) -> list[TriedAnswer]:
        page = await self._gate.ask("GET", "/v2/books?limit=5")
        book = _any_book(page)
        if book is None:
            return [page.shown]
        return [page.shown, (await self._gate.ask("GET", f"/v2/books/{book}")).shown]

    async def _buy(self) -> list[TriedAnswer]:
        identity, answers = await self._customer.identity()
        page = await self._gate.ask("GET", "/v2/books?in_stock=true&limit=5")
        answers.append(page.shown)
        book = _any_book(page)
        if book is None or not identity:
            return answers
        key = (b"idempotency-key", secrets.token_hex(16).encode())
        ordered = await self._gate.ask(
            "POST", "/v2/orders", {"items": [{"book_id": book, "quantity": 1}]}, headers=(*identity, key)
        )
        answers.append(ordered.shown)
        if (order := _order_of(ordered)) is not None:
            answers.append((await self._gate.ask("GET", f"/v2/orders/{order}", headers=identity)).shown)
        return answers

    async def _flood(self) -> Tried:
        if self._flooding:
            raise Problem(409, "flood-runs", "there is a flood already, and one at a time is enough")
        self._flooding = True
        try:
            return await self._crowd()
        finally:
            self._flooding = False

    async def _crowd(self) -> Tried:
        answers: list[TriedAnswer] = []
        paths = iter([_PAGES[number % len(_PAGES)] for number in range(FLOOD)])

        async def come_again() -> None:
            for path in paths:  # one list for all: each path is asked for once
                heard = await self._gate.ask("GET", path)
                answers.append(heard.shown)

        crowd = [asyncio.ensure_future(come_again()) for _ in range(AT_ONCE)]
        try:
            await asyncio.wait(crowd, timeout=LONGEST_FLOOD)
        finally:
            for each in crowd:
                each.cancel()
            ended = await asyncio.gather(*crowd, return_exceptions=True)
        for error in ended:
            if isinstance(error, Problem):
                raise error
        shown: Counter[int | None] = Counter()
        kept: list[TriedAnswer] = []
        for answer in answers:
            shown[answer.status] += 1
            if shown[answer.status] <= _SHOWN_OF_EACH:
                kept.append(answer)
        return Tried(answers=kept, summary=summary(answers))


def summary(answers: Sequence[TriedAnswer]) -> TriedSummary:
    """All answers together."""
    times = sorted(answer.ms for answer in answers) or [0.0]
    statuses = Counter("none" if answer.status is None else str(answer.status) for answer in answers)
    return TriedSummary(
        requests=len(answers),
        by_status=dict(sorted(statuses.items())),
        p50_ms=times[(len(times) - 1) // 2],
        p95_ms=times[min(len(times) - 1, int(len(times) * 0.95))],
    )


def _any_book(page: Heard) -> int | None:
    try:
        return secrets.choice(_page(page.body).data).id
    except (ValueError, IndexError):
        return None


def _order_of(heard: Heard) -> int | None:
    if heard.status != _CREATED:
        return None
    try:
        return _order(heard.body).id
    except ValueError:
        return None
