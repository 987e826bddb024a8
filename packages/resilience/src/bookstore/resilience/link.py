"""Scripts that run in Redis: never for longer than a timeout, and for a while not at all once one failed.

A call that is cancelled leaves its round trip to end by itself: no reply is ever read by the next one.
"""

from asyncio import Task, create_task, wait
from collections.abc import Coroutine
from hashlib import sha1
from typing import Any, Final, Protocol, TypeVar

from bookstore.resilience.breaker import Breaker
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.cutoff import Cutoff
from bookstore.resilience.delays import Backoff
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.policy import Scope
from bookstore.resilience.tasks import finish

T = TypeVar("T")

_AGAIN: Final = Backoff(0.5, cap=10.0)  # how long Redis is left alone: longer each time, while it stays away
_STEPS: Final = 5  # into which a timeout is divided
_LATE: Final = 0.0015  # seconds by which a timer may ring late before that says something of this process
_EXCUSES: Final = 20  # steps, at the most, that don't count


class Script:
    """A script, and the digest that Redis knows it by once it has seen it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Patience(Cutoff):
    """Ends a round trip after a time in which this process had its turns.

    A timer that rings late says that the process was held up: a reply may lie in the socket, read by nobody.
    Redis isn't away because we were, so that step of the time doesn't count.
    """

    __slots__ = ("_clock", "_excuses", "_left", "_step", "_when")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._step = seconds / _STEPS
        self._left = _STEPS
        self._excuses = _EXCUSES
        self._when = clock.now() + self._step
        super().__init__(clock, self._when)

    def _fire(self) -> None:
        now = self._clock.now()
        if now - self._when > _LATE and self._excuses:
            self._excuses -= 1
        else:
            self._left -= 1
        if self._left:
            self._when = now + self._step
            self._handle = self._clock.call_at(self._when, self._fire)
        else:
            super()._fire()


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

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, and tell it when Redis goes away and comes back."""
        self.breaker.join(scope)
        if not self.own_clock:
            self.clock = scope.clock

    async def ask(self, script: Script, *args: Any) -> Any:
        """One round trip, that ends by itself should the caller be cancelled: the answer, or `None`."""
        task = self.spawn(self.ask_here(script, *args))
        await wait((task,))
        return task.result()

    async def ask_here(self, script: Script, *args: Any) -> Any:
        """The same, for a caller that nobody cancels."""
        try:
            permit = self.breaker.acquire()
        except CircuitOpen as refusal:
            self.retry_after = refusal.retry_after or _AGAIN.base
            return None
        cutoff = Patience(self.clock, self._timeout)
        try:
            reply = await self._run(script, args)
        except BaseException as error:
            if not cutoff.lift(error) and not isinstance(error, Exception):
                permit.drop()
                raise
            permit.fail(error)
            return None
        cutoff.lift(None)
        permit.ok()
        return reply

    def spawn(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Let something run that must not be cancelled with whoever began it."""
        task = create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, script: Script, args: tuple[Any, ...]) -> Any:
        try:
            return await self._redis.evalsha(script.digest, 1, *args)
        except Exception as error:
            # By name, so that no client has to be imported; the message is the protocol's.
            if type(error).__name__ != "NoScriptError" and not str(error).startswith("NOSCRIPT"):
                raise
        return await self._redis.eval(script.text, 1, *args)  # new to Redis, or flushed

    async def finish(self) -> None:
        """Wait for what is under way."""
        await finish(list(self._tasks))
