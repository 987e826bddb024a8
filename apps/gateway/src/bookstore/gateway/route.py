"""Which route a request takes: by the longest prefix, the host, and the method."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

from bookstore.gateway.config import model
from bookstore.gateway.path import within

T = TypeVar("T")


class NotAllowed(Exception):
    """There is such a path, but not for this method; `allow` tells for which."""

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(allow)
        self.allow = allow


class _Place(Generic[T]):
    """One prefix of one host, and what each method finds there."""

    def __init__(self, host: bytes, prefix: bytes) -> None:
        self.host = host
        self.prefix = prefix
        self.methods: dict[str, T] = {}
        self.others: T | None = None

    def add(self, methods: Iterable[str], target: T) -> None:
        given = tuple(methods)
        if not given:
            self.others = target
        self.methods.update(dict.fromkeys(given, target))
        if "GET" in given:
            self.methods.setdefault("HEAD", target)

    def find(self, method: str) -> T:
        found = self.methods.get(method, self.others)
        if found is None:
            raise NotAllowed(tuple(sorted({*self.methods, "OPTIONS"})))
        return found


class Routes(Generic[T]):
    """A table of routes, each with what it leads to.

    A longer prefix wins over a shorter one, a host over none; a prefix ends where a segment ends. A method
    that the winner doesn't know finds nothing elsewhere either: what guards a path guards all of it.
    """

    def __init__(self, routes: Iterable[tuple[model.Route, T]]) -> None:
        places: dict[tuple[bytes, bytes], _Place[T]] = {}
        for rule, target in routes:
            host, prefix = rule.host.lower().encode(), rule.prefix.encode()
            place = places.setdefault((host, prefix), _Place(host, prefix))
            place.add(rule.methods, target)
        ordered = sorted(places.values(), key=lambda place: (-len(place.prefix), not place.host))
        self._by_segment: defaultdict[bytes, list[_Place[T]]] = defaultdict(list)
        self._rest = [place for place in ordered if place.prefix == b"/"]
        for place in ordered:
            if place.prefix != b"/":
                self._by_segment[place.prefix.split(b"/", 2)[1]].append(place)

    def match(self, method: str, path: bytes, host: bytes = b"") -> T | None:
        """What the route of a normalised path leads to; None without one.

        Raises:
            NotAllowed: the path has a route, but not for this method.
        """
        for place in self._by_segment.get(path.split(b"/", 2)[1], ()):
            if within(path, place.prefix) and (not place.host or place.host == host):
                return place.find(method)
        for place in self._rest:
            if not place.host or place.host == host:
                return place.find(method)
        return None
