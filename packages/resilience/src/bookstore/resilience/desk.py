"""Where one rate limit asks Redis for room, or spends what it has leased."""

from asyncio import wait
from typing import TYPE_CHECKING, Any, Final

from bookstore.resilience.clock import Clock
from bookstore.resilience.lease import Pool
from bookstore.resilience.policy import Scope
from bookstore.resilience.quota import Keys, Quota
from bookstore.resilience.store import Decision, LocalDesk

if TYPE_CHECKING:
    from bookstore.resilience.redis import RedisLimits


PATIENCE: Final = 10.0
"""Seconds that limits of other processes may wait, for all that this one knows."""


class RedisDesk:
    """The counts of one quota in Redis."""

    def __init__(self, store: "RedisLimits", quota: Quota, name: str, clock: Clock) -> None:
        self.own_clock = False
        self._store = store
        self._quota = quota
        self._name = name
        self._clock = clock
        self._scope = Scope()
        self._patience = PATIENCE
        self._pools: Keys[Pool] = Keys(Pool.at_rest)
        self._share = _share(quota, store.instances)
        self._local = LocalDesk(self._share.meter(), clock)
        self._key = f"{store.prefix}:{quota.limit:g}/{quota.per:g}/{quota.burst}:"
        scale = 1e6 * quota.per
        step = scale / quota.limit
        log = quota.algorithm == "sliding_log"
        self._rule = (quota.most, scale) if log else (step, quota.most * step)

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, unless there is one already, and tell its sinks of outages."""
        self._store.join(scope)
        self._scope = scope
        if not self.own_clock:
            self._clock = self._local.line.clock = scope.clock

    async def take(self, key: str, cost: int, wait: float = 0.0) -> Decision:
        """Room now, or reserved for `retry_after` seconds from now if that's within `wait`, or none."""
        if cost <= self._store.lease and not wait:
            return await self._take_leased(key, cost)
        answer = await self._ask(key, cost, cost, wait)
        return self._degrade(key, cost, wait) if answer is None else answer[1]

    async def enter(self, key: str, cost: int, wait: float) -> Decision:
        """Take room, waiting for it as long as `wait`."""
        if wait and cost <= self._store.lease:
            leased = await self._take_leased(key, cost)
            if leased.allowed:
                return leased
        decision = await self.take(key, cost, wait)
        if decision.allowed and decision.retry_after:
            try:
                await self._clock.sleep(decision.retry_after)
            except BaseException:
                self._store.spawn(self._give_back(key, cost))
                raise
        return decision

    async def aclose(self) -> None:
        """Give back what is leased."""
        for key, pool in self._pools.items():
            if pool.refill is not None:
                await wait((pool.refill,))
            if held := pool.empty():
                await self._give_back(key, held)

    async def _take_leased(self, key: str, cost: int) -> Decision:
        pool = self._pools.get(key)
        if pool is None:
            self._pools.welcome(self._clock.now())
            pool = self._pools[key] = Pool()
        while (decision := pool.take(cost, self._clock.now())) is None:
            refill = pool.refill
            if refill is None:
                refill = pool.refill = self._store.spawn(self._refill(key, pool, cost))
            await wait((refill,))  # whoever is cancelled here leaves it to those who come
            if not refill.result():
                return self._degrade(key, cost, 0.0)
        if decision.allowed and pool.refill is None and not pool.held(self._clock.now()):
            pool.refill = self._store.spawn(
                self._refill(key, pool, 1)
            )  # for the next one, who needn't wait then
        return decision

    async def _refill(self, key: str, pool: Pool, cost: int) -> bool:
        """Fetch up to a whole lease; false when there was no answer."""
        try:
            held = pool.held(self._clock.now())
            need = cost - held
            answer = await self._ask(key, need, max(need, self._store.lease - held), 0.0)
            if answer is None:
                return False
            ttl = min(self._store.lease_ttl, self._quota.per)
            pool.fill(self._clock.now(), ttl, cost, *answer)
            return True
        finally:
            pool.refill = None

    async def _ask(self, key: str, cost: int, want: int, wait: float) -> tuple[int, Decision] | None:
        reply = await self._eval(key, cost, want, wait)
        if reply is None:
            return None
        granted, left, due, whole = reply
        decision = Decision(
            allowed=granted > 0, remaining=left, retry_after=max(0, due) / 1e6, reset_after=whole / 1e6
        )
        return granted, decision

    async def _give_back(self, key: str, units: int) -> None:
        await self._eval(key, -units, -units, 0.0)

    async def _eval(self, key: str, *args: Any) -> list[int] | None:
        cost, want, wait = args
        self._patience = max(self._patience, wait)
        # The braces keep a key on one node of a cluster, whatever is around it.
        name = f"{self._key}{{{self._name}:{key}}}"
        times = (wait * 1e6, self._patience * 1e6)
        return await self._store.ask(self._quota, name, *self._rule, cost, want, *times)

    def _degrade(self, key: str, cost: int, wait: float) -> Decision:
        outage = self._store.outage
        self._scope.emit("degraded", self._name or "rate_limit", detail={"outage": outage})
        if outage == "open":
            return Decision(allowed=True, remaining=self._quota.most - cost, retry_after=0.0, reset_after=0.0)
        if outage == "closed":
            after = self._store.retry_after
            return Decision(allowed=False, remaining=0, retry_after=after, reset_after=after)
        return self._local.take(key, min(cost, self._share.most), wait)


def _share(quota: Quota, instances: int) -> Quota:
    """What one of so many processes may let through by itself."""
    most = max(1, quota.most // instances)
    if quota.algorithm == "sliding_log":
        return Quota(most, per=quota.per, algorithm="sliding_log")
    return Quota(quota.limit / instances, per=quota.per, burst=most)
