"""What operators get to see."""

from typing import Literal

from msgspec import Struct

from bookstore.gateway.gateway import Gateway
from bookstore.gateway.upstreams import Group, Member
from bookstore.resilience.permit import State


class RouteView(Struct, frozen=True, kw_only=True):
    """A route."""

    id: str
    host: str
    prefix: str
    path: str
    methods: tuple[str, ...]
    upstream: str
    auth: str
    roles: tuple[str, ...]
    limit: str | None


class TargetView(Struct, frozen=True, kw_only=True):
    """A target, and how it is."""

    number: int
    url: str
    weight: int
    health: Literal["unknown", "up", "down"]
    ejected: bool
    draining: bool
    in_flight: int


class UpstreamView(Struct, frozen=True, kw_only=True):
    """A service, and how its targets are."""

    id: str
    pick: str
    in_flight: int
    max_in_flight: int
    targets: list[TargetView]


class LimitView(Struct, frozen=True, kw_only=True):
    """A limit, and what it has said since the start."""

    id: str
    quota: int
    per: float
    key: str
    exact: bool
    allowed: int
    refused: int
    degraded: int


class BreakerView(Struct, frozen=True, kw_only=True):
    """The circuit of a service."""

    upstream: str
    state: State
    calls: int
    failures: int
    rejected: int


def routes(gateway: Gateway) -> list[RouteView]:
    """All routes, in the file's order."""
    return [
        RouteView(
            id=rule.id,
            host=rule.host,
            prefix=rule.prefix,
            path=rule.path,
            methods=rule.methods,
            upstream=rule.upstream,
            auth=rule.auth,
            roles=rule.roles,
            limit=rule.limit,
        )
        for rule in gateway.snapshot.config.routes
    ]


def upstream(group: Group) -> UpstreamView:
    """One service."""
    return UpstreamView(
        id=group.name,
        pick=group.rule.pick,
        in_flight=group.places.in_flight,
        max_in_flight=group.places.limit,
        targets=[target(group, number, member) for number, member in enumerate(group.members)],
    )


def target(group: Group, number: int, member: Member) -> TargetView:
    """One target of a service."""
    return TargetView(
        number=number,
        url=member.url,
        weight=member.target.weight,
        health=member.wellness.state,
        ejected=member.url in group.ejected,
        draining=member.draining,
        in_flight=member.in_flight,
    )


def limits(gateway: Gateway) -> list[LimitView]:
    """All limits."""
    tally = gateway.tally
    return [
        LimitView(
            id=name,
            quota=rule.quota,
            per=rule.per,
            key=rule.key,
            exact=rule.exact,
            allowed=tally.decisions[name, "allowed"],
            refused=tally.decisions[name, "refused"],
            degraded=tally.degraded[name],
        )
        for name, rule in gateway.snapshot.config.limits.items()
    ]


def breaker(group: Group) -> BreakerView:
    """The circuit of a service."""
    now = group.breaker.snapshot()
    return BreakerView(
        upstream=group.name, state=now.state, calls=now.calls, failures=now.failures, rejected=now.rejected
    )
