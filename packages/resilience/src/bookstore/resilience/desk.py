"""Where one rate limit asks Redis for room, or spends what it has leased.

A caller that is cancelled while it asks costs nothing: its round trip ends by itself, and what it brings goes
back. Should this process die in between, that is spent until it would have come back anyway.
"""

from asyncio import CancelledError, Task, shield
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from bookstore.resilience.clock import Clock
from bookstore.resilience.lease import Grant, Pool
from bookstore.resilience.lua import SCRIPTS
from bookstore.resilience.policy import Scope
from bookstore.resilience.quota import Keys, Quota
from bookstore.resilience.store import Decision, LocalDesk, Makeshift
from bookstore.resilience.tasks import finish

if TYPE_CHECKING:
    from bookstore.resilience.redis import RedisLimits


PATIENCE: Final = 10.0
"""Seconds that limits of other processes may wait, for all that this one knows."""


class RedisDesk:
    """The counts of one quota in Redis."""

    def __init__(self, store: "RedisLimits", quota: Quota, name: str, clock: Clock) -> None:
        self.own_clock = False
        self._store = store
        self._lease = store.lease
        self._mark = store.lease // 2  # more is fetched when no more than this is left
        self._quota = quota
        self._name = name
        self._clock = clock
        self._scope = Scope()
        self._patience = PATIENCE
        self._pools: Keys[Pool] = Keys(Pool.at_rest)
        self._share = _share(quota, store.instances)
        self._local = LocalDesk(self._share.meter(), clock)
        log = quota.algorithm == "sliding_log"
        kind = "log:" if log else ""  # another type of value: never the same key
        self._key = f"{store.prefix}:{kind}{quota.limit:.15g}/{quota.per:.15g}/{quota.burst}:"
        scale = 1e6 * quota.per
        step = scale / quota.limit
        self._script = SCRIPTS[quota.algorithm]
        self._rule = f"{quota.most},{scale}" if log else f"{step},{quota.most * step}"

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, unless there is one already, and tell its sinks of outages."""
        self._store.link.join(scope)
        self._scope = scope
        if not self.own_clock:
            self._clock = self._local.line.clock = scope.clock

    def take(self, key: str, cost: int) -> Coroutine[Any, Any, Decision]:
        """Room now, or none."""
        return self._take_leased(key, cost) if cost <= self._lease else self._take_one(key, cost)

    async def _take_one(self, key: str, cost: int) -> Decision:
        grant = await self._reserve(key, cost, 0.0)
        return self._degrade(key, cost, 0.0) if grant is None else grant.decision

    async def enter(self, key: str, cost: int, wait: float) -> Decision:
        """Take room, waiting for it as long as `wait`."""
        if cost <= self._lease:
            leased = await self._take_leased(key, cost)
            if leased.allowed or not wait:
                return leased
        grant = await self._reserve(key, cost, wait)
        if grant is not None:
            return await self._stand(key, grant)
        decision = self._degrade(key, cost, wait)
        if decision.allowed and decision.retry_after:
            await self._local.line.stand(key, min(cost, self._share.most), decision.retry_after)
        return decision

    async def _stand(self, key: str, grant: Grant) -> Decision:
        """Wait until a grant is due. Whoever doesn't gives it back."""
        decision = grant.decision
        if decision.allowed and decision.retry_after:
            try:
                await self._clock.sleep(decision.retry_after)
            except CancelledError:
                self._store.link.spawn(self._give_back(key, grant.units, grant.at))
                raise
        return decision

    async def _reserve(self, key: str, cost: int, patience: float) -> Grant | None:
        """Room within so many seconds, in a round trip that ends even when who asked has gone."""
        trip = self._store.link.spawn(self._ask(key, cost, cost, patience))
        try:
            grant = await shield(trip)
        except CancelledError:
            if not trip.cancelled():
                self._store.link.spawn(self._undo(key, trip))
            raise
        if grant is not None and grant.units:
            self._note(key, cost)
        return grant

    def _note(self, key: str, cost: int) -> None:
        """Should Redis go away now, the share of this process is what it hasn't let through already."""
        if self._store.outage == "local":
            self._local.meter.reserve(key, min(cost, self._share.most), self._clock.now())

    async def _undo(self, key: str, trip: "Task[Grant | None]") -> None:
        """Give back what came for nobody."""
        grant = await trip
        if grant is not None and grant.units:
            await self._give_back(key, grant.units, grant.at)

    async def aclose(self) -> None:
        """Give back what is leased."""
        for key, pool in self._pools.items():
            if pool.refill is not None:
                await finish((pool.refill,))
            if held := pool.empty():
                await finish((self._store.link.spawn(self._give_back(key, held, pool.at)),))

    def take_now(self, key: str, cost: int) -> Decision | None:
        """The answer, if a lease that is here has it."""
        pool = self._pools.get(key)
        if pool is None or pool.waiting or cost > self._lease:  # nobody overtakes those in line
            return None
        now = self._clock.now()
        decision = pool.take(cost, now)
        if decision is not None and decision.allowed and pool.left <= self._mark and pool.refill is None:
            self._want_more(key, pool, now)  # for those to come, who then needn't wait
        return decision

    async def _take_leased(self, key: str, cost: int) -> Decision:
        decision = self.take_now(key, cost)
        if decision is not None:
            return decision
        pool = self._pools.get(key)
        if pool is None:
            self._pools.welcome(self._clock.now())
            pool = self._pools[key] = Pool()
        self._want(key, pool)
        turn = pool.queue(cost)
        try:
            decision = await turn
        except CancelledError:
            pool.leave(cost, turn)
            raise
        return self._degrade(key, cost, 0.0) if decision is None else decision

    def _want_more(self, key: str, pool: Pool, now: float) -> None:
        # While there is some left, nobody asks for what is known not to be there.
        if not pool.left or not pool.dry(now):
            self._want(key, pool)

    def _want(self, key: str, pool: Pool) -> None:
        if pool.refill is None:
            pool.refill = self._store.link.spawn(self._refill(key, pool))

    async def _refill(self, key: str, pool: Pool) -> None:
        """Fetch room for those in line, and a lease, until nobody waits; without an answer, tell them so."""
        try:
            while (grant := await self._fetch(key, pool)) is not None:
                pool.serve(self._clock.now())
                if not pool.waiting and not (grant.units and not pool.left):
                    break
        finally:
            pool.refill = None
            pool.fail()

    async def _fetch(self, key: str, pool: Pool) -> Grant | None:
        """One lease, and what those in line want beside: they spend it at once, so it's never held."""
        held = pool.held(self._clock.now())
        need = max(1, pool.next_cost - held)
        want = max(need, self._lease - held + pool.waiting)
        grant = await self._ask(key, need, want, 0.0)
        if grant is not None:
            pool.fill(self._clock.now(), min(self._store.lease_ttl, self._quota.per), held + need, grant)
            self._note(key, grant.units)
        return grant

    async def _ask(self, key: str, cost: int, want: int, wait: float, at: int = 0) -> Grant | None:
        self._patience = max(self._patience, wait)
        # The braces keep a key on one node of a cluster, whatever is around it.
        name = f"{self._key}{{{self._name}:{key}}}"
        question = f"[{self._rule},{cost},{want},{wait * 1e6},{self._patience * 1e6},{at}]"
        reply = await self._store.link.ask(self._script, name, question)
        if reply is None:
            return None
        units, left, due, whole, at = map(int, reply.split())
        return Grant(units, Decision(units > 0, left, max(0, due) / 1e6, whole / 1e6), at)

    async def _give_back(self, key: str, units: int, at: int) -> None:
        await self._ask(key, -units, -units, 0.0, at)

    def _degrade(self, key: str, cost: int, wait: float) -> Decision:
        outage = self._store.outage
        self._scope.emit("degraded", self._name or "rate_limit", detail={"outage": outage})
        if outage == "open":
            return Makeshift(True, self._quota.most - cost, 0.0, 0.0)
        if outage == "closed":
            after = self._store.link.retry_after
            return Makeshift(False, 0, after, after)
        return Makeshift(*self._local.take(key, min(cost, self._share.most), wait))


def _share(quota: Quota, instances: int) -> Quota:
    """What one of so many processes may let through by itself."""
    most = max(1, quota.most // instances)
    if quota.algorithm == "sliding_log":
        return Quota(most, per=quota.per, algorithm="sliding_log")
    return Quota(quota.limit / instances, per=quota.per, burst=most)
