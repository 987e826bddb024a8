"""Which service answers which path."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """All paths that begin with `prefix` go to the service named `upstream`."""

    prefix: str
    upstream: str


TABLE = (
    Route("/auth", "accounts"),
    Route("/.well-known/jwks.json", "accounts"),
    Route("/v1/customers", "accounts"),
    Route("/v1/books", "books"),
    Route("/v2/books", "books"),
    Route("/v2/cache", "books"),
    Route("/v1/orders", "orders"),
    Route("/v2/orders", "orders"),
)


class Routes:
    """A table of routes: the longest prefix wins, and it ends where a segment ends."""

    def __init__(self, routes: Iterable[Route]) -> None:
        longest_first = sorted(routes, key=lambda route: len(route.prefix), reverse=True)
        self._routes = [(route.prefix.encode(), len(route.prefix), route) for route in longest_first]

    def match(self, path: bytes) -> Route | None:
        """The route of a normalised path."""
        for prefix, length, route in self._routes:
            if path.startswith(prefix) and path[length : length + 1] in (b"", b"/"):
                return route
        return None
