"""A signal among processes: enough of them have their circuit open.

Each process judges by what it sees, and keeps its own breaker. A worker that has just started, or gets few
calls, would take long to see what the others know: with a quorum it doesn't have to. One process alone never
stops the others, and without Redis each goes by itself.
"""

from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Final
from uuid import uuid4

from bookstore.resilience import checks
from bookstore.resilience.breaker import Breaker
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import SLACK
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.link import Client, Link, Script
from bookstore.resilience.policy import Call, Layer, Policy, Scope, reject

# KEYS[1] the votes; ARGV who votes, 1 for open, milliseconds that a vote counts, by the clock of Redis.
VOTE: Final = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[2] == '1' then
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return redis.call('ZCARD', KEYS[1])
""")


@dataclass(frozen=True, eq=False)
class Quorum(Policy):
    """Refuse calls while at least `quorum` processes have their breaker open. Stands outside of the breaker.

    Calls never wait for the signal: they see what the last look has brought, and start the next one.

    Args:
        breaker: this process' own, whose state is its vote.
        redis: a client, such as `redis.asyncio.Redis`. It stays yours to close.
        quorum: processes whose vote stops all.
        every: seconds between two looks, and how late the signal may be.
        ttl: seconds after which the vote of a process that has gone silent no longer counts.
        timeout: seconds that a look may take.
        key: where the votes are; give each dependency its own.
    """

    breaker: Breaker
    redis: Client
    _: KW_ONLY
    quorum: int = 2
    every: float = 1.0
    ttl: float = 10.0
    timeout: float = 0.05
    key: str = "quorum"

    _link: Link = field(default=LATER, init=False, repr=False, compare=False)
    _who: str = field(default=LATER, init=False, repr=False, compare=False)
    _view: "View" = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar[tuple[int, int]] = (60, 60)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.kind("breaker", self.breaker, Breaker)
        checks.methods("redis", self.redis, "a client of Redis", "evalsha")
        checks.count("quorum", self.quorum, least=2)
        checks.seconds("every", self.every)
        checks.seconds("ttl", self.ttl)
        checks.require(
            self.ttl > self.every, "ttl", "more than every, or no vote lasts to the next", self.ttl
        )
        checks.seconds("timeout", self.timeout)
        checks.text("key", self.key)
        assign(self, _link=Link(self.redis, self.timeout, self.clock), _who=uuid4().hex, _view=View())

    @property
    def votes(self) -> int:
        """How many processes had their circuit open at the last look."""
        return self._view.votes

    def join(self, scope: Scope) -> None:
        """Take the pipeline's clock."""
        self._link.join(scope)

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Refuse while the quorum is met."""
        view, link, label = self._view, self._link, self.label

        async def layer(call: Call) -> Any:
            now = link.clock.now()
            if now >= view.due - SLACK:
                view.due = now + self.every
                link.spawn(self._look())
            if view.votes >= self.quorum:
                raise reject(scope, label, CircuitOpen(label, view.due - now), call.attempt)
            return await inner(call)

        return layer

    async def _look(self) -> None:
        mine = "1" if self.breaker.state in ("open", "forced_open") else "0"
        votes = await self._link.ask(VOTE, self.key, self._who, mine, int(self.ttl * 1000))
        self._view.votes = votes or 0  # no answer, no signal

    async def aclose(self) -> None:
        """Wait for a look that is under way."""
        await self._link.finish()


class View:
    """What the last look has brought, and when the next is due."""

    __slots__ = ("due", "votes")

    def __init__(self) -> None:
        self.due = 0.0
        self.votes = 0
