"""Rate limits that all processes share, in Redis 6.2 or later, Valkey, or what else speaks the same.

A decision is one round trip, by the clock of Redis. With a lease, one round trip fetches room for several
decisions, and the next is under way before anybody has to wait for it. Redis may be slow or gone: then a
decision takes no longer than `timeout`, once, and after that a breaker answers at once by the outage policy
until Redis is back.

A call that is cancelled leaves its round trip to end by itself: no reply is ever read by the next one.
"""

from typing import Literal, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.clock import Clock
from bookstore.resilience.desk import RedisDesk
from bookstore.resilience.link import Client, Link
from bookstore.resilience.quota import Quota

Outage: TypeAlias = Literal["open", "closed", "local"]


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
        checks.text("prefix", prefix)
        checks.clock(clock)
        checks.methods("redis", redis, "a client of Redis", "evalsha")  # or all would pass for an outage
        self.lease = lease
        self.outage: Outage = outage
        self.instances = instances
        self.lease_ttl = lease_ttl
        self.prefix = prefix
        self.link = Link(redis, timeout, clock)
        self._desks: dict[tuple[Quota, str], RedisDesk] = {}

    def open(self, quota: Quota, name: str, clock: Clock | None) -> RedisDesk:
        """The counts of this quota under this name."""
        desk = self._desks.get((quota, name))
        if desk is None:
            desk = self._desks[quota, name] = RedisDesk(self, quota, name, clock or self.link.clock)
            desk.own_clock = self.link.own_clock or clock is not None
        return desk

    async def aclose(self) -> None:
        """Give back what is leased, and wait for what is under way."""
        for desk in self._desks.values():
            await desk.aclose()
        await self.link.finish()

    def __repr__(self) -> str:
        return f"RedisLimits(lease={self.lease}, outage={self.outage!r})"
