"""A file made ready to serve: built as a whole, and put in the place of the one before in one step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bookstore.gateway.address import Proxies, neighbourhood
from bookstore.gateway.config import Config, model
from bookstore.gateway.cors import Cors
from bookstore.gateway.identity import Asker, Doorman
from bookstore.gateway.limits import Counter, Limit
from bookstore.gateway.path import inward, outward, within
from bookstore.gateway.route import Routes
from bookstore.gateway.upstreams import Group
from bookstore.service.tokens import Access


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that one request needs to know, and that doesn't change while it is served."""

    config: Config
    routes: Routes[Entry]
    entries: tuple[Entry, ...]
    groups: Mapping[str, Group]
    proxies: Proxies
    doorman: Doorman
    cors: Cors | None


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
        proxies=Proxies([*config.trusted_proxies, *networks]),
        doorman=Doorman(access, config.keys, config.limits),
        cors=None if config.cors is None else Cors(config.cors),
    )
