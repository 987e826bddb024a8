"""One trip at a time, for all who came while the one before was under way.

Nobody waits for company: whoever comes to an idle ferry leaves at once, and alone. Under load trips fill up
by themselves, so that hundreds who ask at the same time need one connection and a few round trips.
"""

from asyncio import Future, get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

PLACES: Final = 64
"""How many travel together: more would take a trip long enough to pass for a slow one."""

Trip: TypeAlias = Callable[[Sequence[Q]], Awaitable[Sequence[A]]]


class Ferry(Generic[Q, A]):
    """Takes questions across, and brings an answer to each; `None` to those whose trip was cancelled.

    Args:
        trip: asks all of them at once.
        spawn: runs what nobody may cancel.
    """

    __slots__ = ("_spawn", "_trip", "_under_way", "_waiting")

    def __init__(self, trip: Trip[Q, A], spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._trip = trip
        self._spawn = spawn
        self._waiting: deque[tuple[Q, Future[A | None]]] = deque()
        self._under_way = False

    async def cross(self, question: Q) -> A | None:
        """Ask with the next trip. For tasks that nobody cancels: others may be on board."""
        if self._under_way:
            answer: Future[A | None] = get_running_loop().create_future()
            self._waiting.append((question, answer))
            return await answer
        self._under_way = True
        try:
            return (await self._trip((question,)))[0]
        finally:
            self._next()

    def _next(self) -> None:
        """Those who came meanwhile leave now."""
        self._under_way = bool(self._waiting)
        if self._under_way:
            self._spawn(self._leave())

    async def _leave(self) -> None:
        board = [self._waiting.popleft() for _ in range(min(len(self._waiting), PLACES))]
        answers: Sequence[A | None] = [None] * len(board)
        try:
            answers = await self._trip([question for question, _ in board])
        finally:
            for (_, waiting), answer in zip(board, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)
            self._next()
