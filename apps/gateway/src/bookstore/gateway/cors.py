"""Pages of other origins: which of them a browser may let ask."""

from bookstore.gateway.config import model
from bookstore.service.upstream import Header

EXPOSED = b"link, location, ratelimit, ratelimit-policy, retry-after, x-request-id, x-total-count, x-trace-id"


class Cors:
    """What to say to a browser. Cookies are nobody's business here, so credentials are never allowed."""

    def __init__(self, rule: model.Cors) -> None:
        self._any = "*" in rule.origins
        self._origins = frozenset(origin.encode() for origin in rule.origins)
        self._headers = ", ".join(rule.headers).encode()
        self._max_age = b"%d" % rule.max_age

    def answer(self, origin: bytes | None) -> list[Header]:
        """What goes with each answer."""
        vary = [] if self._any else [(b"vary", b"origin")]
        if origin is None or not (self._any or origin in self._origins):
            return vary
        allowed = b"*" if self._any else origin
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", EXPOSED),
            *vary,
        ]

    def preflight(self, origin: bytes | None, methods: tuple[str, ...]) -> list[Header]:
        """What answers the question that comes before a request."""
        allowed = self.answer(origin)
        if not any(name == b"access-control-allow-origin" for name, _ in allowed):
            return allowed
        return [
            *allowed,
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", self._headers),
            (b"access-control-max-age", self._max_age),
        ]
