"""The targets of one service, and which of them gets the next request."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from bookstore.gateway.config import model
from bookstore.gateway.tally import Tally
from bookstore.gateway.upstreams.member import Member
from bookstore.resilience import Balancer, Breaker, Budget, Bulkhead, Outliers, Window
from bookstore.resilience.balance import Lease
from bookstore.resilience.events import Sinks
from bookstore.resilience.policy import Scope
from bookstore.service.tracing import span_events

_WINDOW = 10.0
_RESERVE = 0.3
"""Retries a second that a quiet service may have: three in the ten seconds that a budget looks back."""
_HALF = 2
_NOBODY: Mapping[str, Member] = MappingProxyType({})


class NoTarget(Exception):
    """There is nobody to send to."""


def candidates(members: Iterable[Member]) -> list[Member]:
    """Who may get requests.

    Those that are up; but if that is less than half, the fault is probably elsewhere, and a few can't carry
    the load of all: then those too that say they are ill. Where nobody listens nothing can be had, so those
    come last of all.
    """
    staying = [member for member in members if not member.draining]
    up = [member for member in staying if member.wellness.state != "down"]
    if up and len(up) * _HALF >= len(staying):
        return up
    return [member for member in staying if not member.wellness.refused] or staying


class Group:
    """One service. It outlives the file that described it: what is known of its targets is kept."""

    def __init__(
        self, name: str, rule: model.Upstream, *, tally: Tally, elsewhere: Mapping[str, Member] = _NOBODY
    ) -> None:
        """Make it, and start nothing.

        Args:
            name: What the file calls it.
            rule: What the file says of it.
            tally: Where it is counted what happens.
            elsewhere: Targets of other services by URL: what is known of their health counts here too.
        """
        self.name = name
        self.rule = rule
        self.tally = tally
        self.members: tuple[Member, ...] = ()
        self.places = Bulkhead(rule.max_in_flight, name=name)
        self.budget = Budget(ratio=0.2, reserve=_RESERVE, ttl=_WINDOW)
        self.breaker = _breaker(name, rule.breaker)
        telling = Scope(name, sinks=Sinks((tally.event, span_events)))
        self.breaker.join(telling)
        self.places.join(telling)
        self._by_url: dict[str, Member] = {}
        self._open = False
        self._balancer = Balancer(
            [target.url for target in rule.targets],
            pick=rule.pick,
            eject=_outliers(rule.eject),
            slow_start=rule.slow_start,
            name=name,
            sinks=[tally.event, span_events],
        )
        self._retiring: set[asyncio.Task[None]] = set()
        self._take(rule, elsewhere)

    def adapt(self, rule: model.Upstream) -> None:
        """Go by a new file from now on."""
        self.rule = rule
        self.places.resize(rule.max_in_flight)
        self.breaker.adapt(_breaker(self.name, rule.breaker))
        self._balancer.reconfigure(pick=rule.pick, eject=_outliers(rule.eject), slow_start=rule.slow_start)
        gone = self._take(rule, {})
        for member in gone:
            task = asyncio.create_task(member.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        self.start()

    def start(self) -> None:
        """Find out how the targets are, and keep looking."""
        for member in self.members:
            member.start()

    @property
    def by_url(self) -> Mapping[str, Member]:
        """The targets by their address."""
        return self._by_url

    @property
    def ejected(self) -> tuple[str, ...]:
        """Targets that are left out because they failed their requests."""
        return self._balancer.ejected

    def refresh(self) -> None:
        """Some target is better, or worse, or is to be left alone."""
        chosen = candidates(self.members)
        self._open = bool(chosen)
        if chosen:
            self._balancer.update({member.url: float(member.target.weight) for member in chosen})

    def pick(self, key: str, tried: Collection[str] = ()) -> tuple[Lease, Member]:
        """A target for one request, which is in flight there until the lease is settled.

        Raises:
            NoTarget: there is none, or none that wasn't tried.
        """
        if not self._open:
            raise NoTarget
        lease = self._balancer.pick(key, avoid=tried)
        target = lease.target
        if target in tried:
            lease.drop()
            raise NoTarget
        return lease, self._by_url[target]

    def has_other(self, tried: Collection[str]) -> bool:
        """Whether there is a target that wasn't tried."""
        return any(url not in tried for url in self._balancer.usable)

    async def retire(self) -> None:
        """The service has gone from the file: let its requests end, then close."""
        await asyncio.gather(*(member.retire() for member in self.members), *self._retiring)

    async def aclose(self) -> None:
        """Close at once."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(member.aclose() for member in self.members))

    def _take(self, rule: model.Upstream, elsewhere: Mapping[str, Member]) -> list[Member]:
        """Have the targets of the file; gives those that are gone."""
        before = self._by_url
        members: list[Member] = []
        for target in rule.targets:
            member = before.get(target.url)
            if member is None:
                member = Member(target, rule, self.refresh)
                if target.url in elsewhere:
                    member.wellness = elsewhere[target.url].wellness.copy()
            member.adapt(target, rule.health)
            members.append(member)
        self.members = tuple(members)
        self._by_url = {member.url: member for member in members}
        self.refresh()
        return [member for url, member in before.items() if url not in self._by_url]


def _outliers(rule: model.Eject) -> Outliers:
    return Outliers(rule.consecutive, base=rule.base, cap=rule.cap, max_share=rule.max_share)


def _breaker(name: str, rule: model.Breaker) -> Breaker:
    return Breaker(
        window=Window.time(_WINDOW),
        min_calls=rule.min_calls,
        failure_rate=rule.failure_rate,
        open_for=rule.open_for,
        name=name,
    )
