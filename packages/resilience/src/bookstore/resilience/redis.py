"""Rate limits that all processes share, in Redis 6.2 or later, Valkey, or what else speaks the same.

A decision is one round trip, by the clock of Redis. With a lease, one round trip fetches room for several
decisions, and the next is under way before anybody has to wait for it. Redis may be slow or gone: then a
decision takes no longer than `timeout`, once, and after that a breaker answers at once by the outage policy
until Redis is back.

A call that is cancelled leaves its round trip to end by itself: no reply is ever read by the next one.
"""

from asyncio import Task, create_task, wait
from collections.abc import Coroutine
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, cast

from bookstore.resilience import checks
from bookstore.resilience.breaker import Breaker
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.cutoff import Cutoff
from bookstore.resilience.delays import Backoff
from bookstore.resilience.desk import RedisDesk
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.lua import GCRA, SLIDING_LOG, Script
from bookstore.resilience.policy import Scope
from bookstore.resilience.quota import Quota
from bookstore.resilience.tasks import finish

T = TypeVar("T")

Outage: TypeAlias = Literal["open", "closed", "local"]

SCRIPTS: Final = {"gcra": Script(GCRA), "sliding_log": Script(SLIDING_LOG)}

_AGAIN: Final = Backoff(0.5, cap=10.0)  # how long Redis is left alone: longer each time, while it stays away


class Client(Protocol):
    """What is needed of a client: `redis.asyncio.Redis` has it."""

    def evalsha(self, sha: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script that Redis knows."""

    def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script, and let Redis know it."""


class RedisLimits:
    """A store for `RateLimit`, shared by all processes that use the same Redis and prefix.

    ```python
    limits = RedisLimits(Redis.from_url(url), lease=10)
    limiter = RateLimit(Quota(100, per=1.0), store=limits)
    if (await limiter.try_acquire("user:7")).allowed: ...
    await limits.aclose()
    ```

    Args:
        redis: a client, such as `redis.asyncio.Redis`. It stays yours to close.
        lease: room to fetch at once for each key; 0 asks Redis for every decision. What is leased and not
            used yet may be used at the wrong time: by at most a lease per process.
        outage: what to do without Redis: let all through (`"open"`), nobody (`"closed"`), or the share of
            this process (`"local"`).
        instances: processes among which the local share is divided.
        timeout: seconds that a round trip may take.
        lease_ttl: seconds after which a lease that was not used is over, and at most the period of the quota.
        prefix: begins all keys.
        clock: where time comes from, for timeouts and leases. Quotas go by the clock of Redis.
    """

    def __init__(
        self,
        redis: Client,
        *,
        lease: int = 0,
        outage: Outage = "local",
        instances: int = 1,
        timeout: float = 0.05,
        lease_ttl: float = 1.0,
        prefix: str = "limit",
        clock: Clock | None = None,
    ) -> None:
        checks.count("lease", lease, least=0)
        checks.one_of("outage", outage, "open", "closed", "local")
        checks.count("instances", instances)
        checks.seconds("timeout", timeout)
        checks.seconds("lease_ttl", lease_ttl)
        self.lease = lease
        self.outage: Outage = outage
        self.instances = instances
        self.lease_ttl = lease_ttl
        self.prefix = prefix
        self.breaker = Breaker(consecutive=1, trials=1, open_for=_AGAIN, name="redis", clock=clock)
        self.retry_after = _AGAIN.base
        """For how long Redis is left alone, as of the last refusal."""
        self._redis = redis
        self._timeout = timeout
        self._clock = clock or SYSTEM
        self._own_clock = clock is not None
        self._tasks: set[Task[Any]] = set()
        self._desks: dict[tuple[Quota, str], RedisDesk] = {}

    def open(self, quota: Quota, name: str, clock: Clock | None) -> RedisDesk:
        """The counts of this quota under this name."""
        desk = self._desks.get((quota, name))
        if desk is None:
            desk = self._desks[quota, name] = RedisDesk(self, quota, name, clock or self._clock)
            desk.own_clock = self._own_clock or clock is not None
        return desk

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, and tell it when Redis goes away and comes back."""
        self.breaker.join(scope)
        if not self._own_clock:
            self._clock = scope.clock

    async def ask(self, quota: Quota, *args: Any) -> list[int] | None:
        """One round trip, that ends by itself should the caller be cancelled.

        The answer: units granted and left, microseconds until due and until whole; or none.
        """
        task = self.spawn(self.ask_here(quota, *args))
        await wait((task,))
        return task.result()

    async def ask_here(self, quota: Quota, *args: Any) -> list[int] | None:
        """The same, for a caller that nobody cancels."""
        try:
            permit = self.breaker.acquire()
        except CircuitOpen as refusal:
            self.retry_after = refusal.retry_after or _AGAIN.base
            return None
        return await self._round_trip(permit, SCRIPTS[quota.algorithm], args)

    def spawn(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Let something run that must not be cancelled with whoever began it."""
        task = create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _round_trip(self, permit: Any, script: Script, args: tuple[Any, ...]) -> list[int] | None:
        cutoff = Cutoff(self._clock, self._clock.now() + self._timeout)
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

    async def _run(self, script: Script, args: tuple[Any, ...]) -> list[int]:
        try:
            return cast("list[int]", await self._redis.evalsha(script.digest, 1, *args))
        except Exception as error:
            # By name, so that no client has to be imported; the message is the protocol's.
            if type(error).__name__ != "NoScriptError" and not str(error).startswith("NOSCRIPT"):
                raise
        return cast("list[int]", await self._redis.eval(script.text, 1, *args))  # new to Redis, or flushed

    async def aclose(self) -> None:
        """Give back what is leased, and wait for what is under way."""
        for desk in self._desks.values():
            await desk.aclose()
        await finish(list(self._tasks))

    def __repr__(self) -> str:
        return f"RedisLimits(lease={self.lease}, outage={self.outage!r})"
