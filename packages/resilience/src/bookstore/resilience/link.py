"""Scripts that run in Redis: never for longer than a timeout, and for a while not at all once one failed.

Round trips run in tasks of their own, which nobody cancels: no reply is ever read by the next one.
"""

from asyncio import Task, create_task
from collections.abc import Coroutine, Sequence
from hashlib import sha1
from inspect import isfunction
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from bookstore.resilience.breaker import Breaker
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.cutoff import Patience
from bookstore.resilience.delays import Backoff
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.ferry import Ferry
from bookstore.resilience.policy import Scope
from bookstore.resilience.tasks import finish

T = TypeVar("T")

_AGAIN: Final = Backoff(0.5, cap=10.0)  # how long Redis is left alone: longer each time, while it stays away


class Script:
    """A script, and the digest that Redis knows it by once it has seen it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


Question: TypeAlias = tuple[Script, tuple[Any, ...]]


class Client(Protocol):
    """What is needed of a client: `redis.asyncio.Redis` has it."""

    def evalsha(self, sha: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script that Redis knows."""

    def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script, and let Redis know it."""


class Link:
    """The way to one Redis."""

    def __init__(self, redis: Client, timeout: float, clock: Clock | None) -> None:
        self.breaker = Breaker(consecutive=1, trials=1, open_for=_AGAIN, name="redis", clock=clock)
        self.retry_after = _AGAIN.base
        """For how long Redis is left alone, as of the last refusal."""
        self.clock = clock or SYSTEM
        self.own_clock = clock is not None
        self._redis = redis
        self._timeout = timeout
        self._tasks: set[Task[Any]] = set()
        self._together = _takes_several(redis)
        self._ferry: Ferry[Question, Any] = Ferry(self._trip, self.spawn)

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, and tell it when Redis goes away and comes back."""
        self.breaker.join(scope)
        if not self.own_clock:
            self.clock = scope.clock

    async def ask(self, script: Script, *args: Any) -> Any:
        """The answer to a script, or `None`. For tasks that nobody cancels, as `spawn` makes them.

        One round trip, which those who ask while it is under way don't share, but the next one.
        """
        if self._together:
            return await self._ferry.cross((script, args))
        (answer,) = await self._trip([(script, args)])
        return answer

    async def _trip(self, questions: Sequence[Question]) -> Sequence[Any]:
        try:
            permit = self.breaker.acquire()
        except CircuitOpen as refusal:
            self.retry_after = refusal.retry_after or _AGAIN.base
            return [None] * len(questions)
        cutoff = Patience(self.clock, self.clock.now() + self._timeout)
        try:
            answers = await self._run(questions)
        except BaseException as error:
            if not cutoff.lift(error) and not isinstance(error, Exception):
                permit.drop()
                raise
            permit.fail(error)
            return [None] * len(questions)
        cutoff.lift(None)
        permit.ok()
        return answers

    def spawn(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Let something run that must not be cancelled with whoever began it."""
        task = create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, questions: Sequence[Question]) -> Sequence[Any]:
        if len(questions) == 1:
            return [await self._run_one(*questions[0])]
        pipeline = cast("Any", self._redis).pipeline(transaction=False)
        for script, args in questions:
            pipeline.evalsha(script.digest, 1, *args)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        for at, answer in enumerate(answers):
            if isinstance(answer, Exception):
                _must_be_unknown(answer)
                answers[at] = await self._run_one(*questions[at])
        return answers

    async def _run_one(self, script: Script, args: tuple[Any, ...]) -> Any:
        try:
            return await self._redis.evalsha(script.digest, 1, *args)
        except Exception as error:  # noqa: BLE001 - raised again, but for one
            _must_be_unknown(error)
        return await self._redis.eval(script.text, 1, *args)  # new to Redis, or flushed

    async def finish(self) -> None:
        """Wait for what is under way."""
        await finish(list(self._tasks))


def _must_be_unknown(error: Exception) -> None:
    """Raise it, unless it says that Redis doesn't know a script."""
    # By name, so that no client has to be imported; the message is the protocol's.
    if type(error).__name__ != "NoScriptError" and not str(error).startswith("NOSCRIPT"):
        raise error


def _takes_several(redis: Client) -> bool:
    """Whether a client can send several scripts at once. One of a cluster, which has no pool, can't."""
    return hasattr(redis, "connection_pool") and isfunction(getattr(type(redis), "pipeline", None))
