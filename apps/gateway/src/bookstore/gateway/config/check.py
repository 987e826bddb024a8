"""What can't be told from one field alone: whether the parts of a file fit together."""

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence

from bookstore.gateway.config.model import Config, Route
from bookstore.gateway.path import BadPath, normalised

Fault = tuple[str, str]


def faults(config: Config) -> Iterator[Fault]:
    """All that doesn't fit, as the path of a field and what is wrong with it."""
    for at, network in enumerate(config.trusted_proxies):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield f"trusted_proxies[{at}]", str(error)
    for name, upstream in config.upstreams.items():
        if upstream.eject.cap < upstream.eject.base:
            yield f"upstreams.{name}.eject.cap", "must be at least base"
        for at, path in enumerate(upstream.hidden):
            yield from _spelling(path, f"upstreams.{name}.hidden[{at}]")
    for at, route in enumerate(config.routes):
        for where, what in _of_route(route, config):
            yield f"routes[{at}].{where}", f"{what} (route {route.id})"
    yield from _twice(config.routes)


def _of_route(route: Route, config: Config) -> Iterator[Fault]:
    yield from _paths(route)
    if route.upstream not in config.upstreams:
        yield "upstream", f"there is no upstream {route.upstream}"
    if route.limit is not None and route.limit not in config.limits:
        yield "limit", f"there is no limit {route.limit}"
    if route.auth == "token" and config.jwks is None:
        yield "auth", "tokens can't be verified without jwks"
    if route.roles and route.auth == "none":
        yield "roles", "nobody has a role where auth is none"
    if route.timeout.total < route.timeout.attempt:
        yield "timeout.total", "must be at least attempt"
    for at, method in enumerate(route.methods):
        if method in ("CONNECT", "TRACE"):
            yield f"methods[{at}]", f"{method} is always refused"


def _paths(route: Route) -> Iterator[Fault]:
    if route.prefix != "/":
        yield from _spelling(route.prefix, "prefix")
    if route.path in ("keep", "strip", "/"):
        return
    if route.path.startswith("/"):
        yield from _spelling(route.path, "path")
    else:
        yield "path", "must be keep, strip, or a path that begins with a slash"


def _spelling(path: str, where: str) -> Iterator[Fault]:
    try:
        plain = normalised(path.encode()).decode()
    except BadPath as error:
        yield where, str(error)
        return
    if plain != path or (path.endswith("/") and path != "/"):
        yield where, f"must be written {plain.rstrip('/')}"


def _twice(routes: Sequence[Route]) -> Iterator[Fault]:
    ids = Counter(route.id for route in routes)
    taken: dict[tuple[str, str, str], str] = {}
    for at, route in enumerate(routes):
        if ids[route.id] > 1:
            yield f"routes[{at}].id", f"{route.id} stands there {ids[route.id]} times"
        for method in route.methods or ("",):
            other = taken.setdefault((route.host.lower(), route.prefix, method), route.id)
            if other != route.id:
                what = method or "all methods"
                yield f"routes[{at}].prefix", f"{route.prefix} has {what} in route {other} already"
