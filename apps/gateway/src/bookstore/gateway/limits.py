"""How many requests each may send: counted on the Redis that all gateways share, or here while it is away.

A small quota is exact: its log is asked for each request. A large one is spent in small change: one round
trip fetches room for several requests, of which at most so many can come at the wrong time.
"""

import logging
from contextlib import AbstractAsyncContextManager
from math import ceil
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bookstore.gateway.config import model
from bookstore.resilience import Decision, Event, Local, Quota, RateLimit
from bookstore.resilience.events import Sinks
from bookstore.resilience.policy import Scope
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.store import Makeshift
from bookstore.service.problem import Problem
from bookstore.service.redis import connect
from bookstore.service.redis_home import Home
from bookstore.service.tracing import span_events
from bookstore.service.upstream import Header

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PATIENCE = 0.025
"""Seconds that Redis may take: a request waits so long once, and then not at all until it is back."""
_KEYS = "{gateway}"
"""Begins all keys. In a cluster they are in one slot: Redis is away for all limits, or for none."""
_LEASE, _LARGEST_LEASE = 0.02, 1_000
"""The share of a large quota that a gateway fetches at once, and how much that is at most."""
_SURELY = 0.95
"""The share of a period after which a request may be forgotten here: two clocks are never at one."""
_LOCAL: Header = (b"x-ratelimit-mode", b"local")

logger = logging.getLogger(__name__)


class Counter(AbstractAsyncContextManager[Any]):
    """Where limits are counted.

    Args:
        redis_url: The Redis of all gateways; empty to count in this process alone.
        replicas: How many gateways there are: the share of one is so much less.
    """

    def __init__(self, redis_url: str, replicas: int) -> None:
        self._replicas = replicas
        self._redis: Redis | None = None
        self._stores: dict[int, RedisLimits] = {}
        """By what they fetch at once."""
        if redis_url:
            self._redis = connect(Home(redis_url, _KEYS))
        self._local = Local()

    def limit(self, name: str, rule: model.Limit) -> "Limit":
        """A limit that is counted here. The same one, made again, goes on counting where it was."""
        exact = rule.exact
        if self._redis is None:
            mine = max(1, rule.quota // self._replicas)
            rate = RateLimit(_quota(mine, rule.per, exact=exact), store=self._local, name=name)
            return Limit(name, rule, rate, shared=False, seen=None)
        quota = _quota(rule.quota, rule.per, exact=exact)
        seen = _quota(rule.quota, rule.per * _SURELY, exact=True) if exact else None
        return Limit(
            name,
            rule,
            RateLimit(quota, store=self._store(self._redis, 0 if exact else _lease(rule.quota)), name=name),
            shared=True,
            seen=None if seen is None else RateLimit(seen, store=self._local, name=name),
        )

    async def warm(self) -> None:
        """Connect, so that the first request needn't."""
        for limit in (
            model.Limit(quota=quota, per=1.0, key="caller") for quota in (1, model.EXACT_UP_TO + 1)
        ):
            await self.limit("warm", limit).warm()

    def _store(self, redis: "Redis", lease: int) -> RedisLimits:
        store = self._stores.get(lease)
        if store is None:
            store = self._stores[lease] = RedisLimits(
                redis, lease=lease, instances=self._replicas, timeout=_PATIENCE, prefix=_KEYS
            )
            store.link.join(Scope("limits", sinks=Sinks((_tell,))))
        return store

    async def __aenter__(self) -> Self:
        await self.warm()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for store in self._stores.values():
            await store.aclose()
        if self._redis is not None:
            await self._redis.aclose()


def _tell(event: Event) -> None:
    if event.kind == "transition" and event.detail["to"] == "open":
        logger.warning("Redis is away: each gateway counts its own share of the limits")
    elif event.kind == "transition" and event.detail["to"] == "closed":
        logger.info("Redis is back: the limits are shared again")


def _lease(quota: int) -> int:
    return min(_LARGEST_LEASE, int(quota * _LEASE))


def _quota(limit: int, per: float, *, exact: bool) -> Quota:
    return Quota(limit, per=per, algorithm="sliding_log" if exact else "gcra")


class Limit:
    """One limit of the file, ready to be asked.

    Args:
        name: What the file calls it.
        rule: What the file says of it.
        rate: Who counts.
        shared: Whether all gateways count together.
        seen: What this process has let through by itself, whoever counted: more than the quota it never does.
    """

    __slots__ = ("_label", "_rate", "_seen", "_shared", "_standing", "name", "rule")

    def __init__(
        self,
        name: str,
        rule: model.Limit,
        rate: RateLimit[Any],
        *,
        shared: bool,
        seen: RateLimit[Decision] | None,
    ) -> None:
        self.name = name
        self.rule = rule
        self._rate = rate
        self._shared = shared
        self._seen = seen
        policy = f'"{name}";q={rule.quota};w={ceil(rule.per)}'.encode()
        self._standing: tuple[Header, ...] = (
            (b"ratelimit-policy", policy),
            (b"x-ratelimit-limit", b"%d" % rule.quota),
        )
        self._label = f'"{name}"'

    async def warm(self) -> None:
        """Ask once, so that the first request needn't wait for a connection."""
        await self._rate.decide("")

    async def ask(self, prefix: str, who: str) -> Decision:
        """Whether this one may send one more request to the routes of this prefix."""
        key = f"{prefix}|{who}"
        decision = await self._rate.decide(key)
        if self._seen is None or not decision.allowed:
            return decision
        # Redis doesn't know what went through while it was away, be it for a moment.
        own = self._seen.try_acquire(key)
        return decision if own.allowed else Makeshift(*own)

    def ask_now(self, prefix: str, who: str) -> Decision | None:
        """The same, if it is known without waiting; else None, and nothing is counted."""
        return self._rate.decide_now(f"{prefix}|{who}") if self._seen is None else None

    def fields(self, decision: Decision) -> tuple[Header, ...]:
        """What the client is told of it: in the words of the IETF, and in the older ones."""
        left = decision.remaining
        after = ceil(decision.reset_after if decision.allowed else decision.retry_after)
        told = (
            *self._standing,
            (b"ratelimit", f"{self._label};r={left};t={after}".encode()),
            (b"x-ratelimit-remaining", b"%d" % left),
            (b"x-ratelimit-reset", b"%d" % after),
        )
        return (*told, _LOCAL) if decision.degraded or not self._shared else told


def refusal(decision: Decision) -> Problem:
    """What one is answered who has sent too many."""
    span_events(Event("rejected", "ratelimit", "limits", detail={"retry_after": decision.retry_after}))
    return Problem(
        429,
        "rate-limit-exceeded",
        "API rate limit exceeded",
        headers={"Retry-After": str(max(1, ceil(decision.retry_after)))},
    )
