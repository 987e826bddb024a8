"""A file made ready to serve: built as a whole, and put in the place of the one before in one step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bookstore.gateway.address import Proxies, neighbourhood
from bookstore.gateway.config import Config, model
from bookstore.gateway.cors import Cors
from bookstore.gateway.head import Heads
from bookstore.gateway.identity import Asker, Doorman
from bookstore.gateway.limits import Counter, Limit
from bookstore.gateway.memory import Memory
from bookstore.gateway.path import inward, normalised, outward, within
from bookstore.gateway.route import Routes
from bookstore.gateway.upstreams import Group
from bookstore.service.tokens import Access

_SHORT = 256
"""Bytes of a path whose way is remembered."""
_REMEMBERED = 4096


class Entry:
    """A route with all that it needs."""

    __slots__ = ("_prefix", "group", "hidden", "limit", "moves", "personal", "rule")

    def __init__(self, rule: model.Route, group: Group, limit: Limit | None) -> None:
        self.rule = rule
        self.group = group
        self.limit = limit
        self.hidden = tuple(path.encode() for path in group.rule.hidden)
        self.moves = rule.path != "keep"
        """Whether the service knows its paths by other names."""
        self.personal = limit is not None or group.rule.pick == "hash"
        """Whether it matters who asks, even where everybody may."""
        self._prefix = rule.prefix.encode()

    def inward(self, path: bytes) -> bytes | None:
        """The path as the service gets it; None if no route leads there."""
        target = inward(path, self._prefix, self.rule.path)
        for hidden in self.hidden:
            if within(target, hidden):
                return None
        return target

    def outward(self, path: bytes) -> bytes:
        """A path that the service names, as the client has to ask for it."""
        return outward(path, self._prefix, self.rule.path)

    def counted_as(self, asker: Asker, address: str) -> str:
        """Whose quota a request takes from."""
        if self.limit is not None and self.limit.rule.key == "address":
            return f"address:{neighbourhood(address)}"
        return asker.name


class Way(NamedTuple):
    """Where a path leads.

    Attributes:
        entry: Its route.
        path: It, in its one spelling.
        target: The path as the service gets it; None if the service hides it.
    """

    entry: Entry
    path: bytes
    target: bytes | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one request needs to know, and that doesn't change while it is served."""

    config: Config
    routes: Routes[Entry]
    entries: tuple[Entry, ...]
    groups: Mapping[str, Group]
    heads: Heads
    doorman: Doorman
    cors: Cors | None
    _ways: Memory[tuple[str, bytes, bytes], Way] = field(
        init=False, default_factory=lambda: Memory(_REMEMBERED)
    )

    def way(self, method: str, path: bytes, host: bytes) -> Way | None:
        """Where a path leads by this method at this host; None if no route does for it.

        Raises:
            BadPath: it can't be used.
            NotAllowed: there is a route, but not for this method.
        """
        asked = method, path, host
        known = self._ways.get(asked)
        if known is not None:
            return known
        spelled = normalised(path)
        entry = self.routes.match(method, spelled, host)
        if entry is None:
            return None
        way = Way(entry, spelled, entry.inward(spelled))
        return self._ways.keep(asked, way) if len(path) + len(host) <= _SHORT else way


def build(
    config: Config,
    groups: Mapping[str, Group],
    counter: Counter,
    access: Access | None,
    networks: Sequence[str] = (),
) -> Snapshot:
    """What serves by this file, with these services, counts, keys, and more networks of trusted proxies."""
    limits = {name: counter.limit(name, rule) for name, rule in config.limits.items()}
    entries = tuple(
        Entry(rule, groups[rule.upstream], None if rule.limit is None else limits[rule.limit])
        for rule in config.routes
    )
    return Snapshot(
        config=config,
        routes=Routes((entry.rule, entry) for entry in entries),
        entries=entries,
        groups=groups,
        heads=Heads(Proxies([*config.trusted_proxies, *networks])),
        doorman=Doorman(access, config.keys, config.limits),
        cors=None if config.cors is None else Cors(config.cors),
    )
