"""What a request wants: which route it takes, where it leads, and what goes on to the service."""

from collections.abc import AsyncGenerator
from time import monotonic

from bookstore.gateway.head import Head
from bookstore.gateway.headers import to_client
from bookstore.gateway.identity import Asker
from bookstore.gateway.path import BadPath
from bookstore.gateway.route import NotAllowed
from bookstore.gateway.snapshot import Snapshot, Way
from bookstore.gateway.upstreams import Call
from bookstore.gateway.upstreams.retry import repeatable
from bookstore.service.door import Request
from bookstore.service.problem import Problem
from bookstore.service.upstream import Header

_REFUSED = frozenset({"CONNECT", "TRACE"})
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Answered(Exception):
    """There is nothing more to say than these headers."""

    def __init__(self, headers: list[Header]) -> None:
        super().__init__(headers)
        self.headers = headers


class Errand:
    """A request for which there is a route.

    Attributes:
        entry: Its route.
        head: What its headers say to the gateway.
        told: What the client is told with any answer.
        repeatable: Whether sending it twice does what sending it once does.
    """

    __slots__ = ("_request", "_snapshot", "_way", "entry", "head", "repeatable", "told")

    def __init__(
        self, snapshot: Snapshot, way: Way, head: Head, request: Request, told: list[Header]
    ) -> None:
        self.entry = way.entry
        self.head = head
        self.told = told
        self.repeatable = repeatable(request.method, keyed=head.keyed)
        self._snapshot = snapshot
        """The file that it goes by, from its beginning to its end."""
        self._way = way
        self._request = request

    def target(self) -> bytes:
        """What the service is asked for.

        Raises:
            Problem: 404 for what the service hides, 501 for a protocol that isn't spoken here.
        """
        way = self._way
        if way.target is None:
            raise Problem(404, "not-found", f"nothing answers at {way.path.decode('latin-1')}")
        if self.head.websocket:
            raise Problem(501, "not-implemented", "there is no WebSocket here")
        query = self._request.query
        return way.target + b"?" + query if query else way.target

    async def asker(self) -> Asker:
        """Who asks, who may; else a `Problem`."""
        entry = self.entry
        return await self._snapshot.doorman.ask(entry.rule, self.head, personal=entry.personal)

    def asker_now(self) -> Asker | None:
        """The same, if he may and that needs no waiting."""
        entry = self.entry
        return self._snapshot.doorman.ask_now(entry.rule, self.head, personal=entry.personal)

    def call(
        self, target: bytes, asker: Asker, body: bytes | AsyncGenerator[bytes] | None, length: int | None
    ) -> Call:
        """It, as it goes out."""
        rule = self.entry.rule
        return Call(
            method=self._request.method,
            target=target,
            lines=self.head.lines,
            body=body,
            length=length,
            streams=not (body is None or isinstance(body, bytes)),
            key=asker.name,
            timeout=rule.timeout,
            retry=rule.retry,
            repeatable=self.repeatable,
            route=rule.prefix,
            started=monotonic(),
        )

    def answer(self, headers: list[Header], member: bytes) -> list[Header]:
        """The headers of the answer that this target has given, as the client gets them."""
        entry = self.entry
        outward = entry.outward if entry.moves else None
        return [*to_client(headers, base_url=member, outward=outward), *self.told]


def errand_of(snapshot: Snapshot, request: Request, told: list[Header]) -> Errand | None:
    """What this request wants; None if no route does for it.

    Args:
        snapshot: The file that is gone by.
        request: As it came.
        told: Is added to, be there an errand or not.

    Raises:
        Problem: for a request that nobody gets.
        Answered: for a question that the gateway itself answers.
    """
    if request.method in _REFUSED:
        raise _not_allowed(request.method, _METHODS)
    head = snapshot.heads.read(request.headers, request.client[0])
    if snapshot.cors is not None:
        told += snapshot.cors.answer(head.origin)
    way = _way(snapshot, request.method, request.path, head)
    return None if way is None else Errand(snapshot, way, head, request, told)


def _way(snapshot: Snapshot, method: str, path: bytes, head: Head) -> Way | None:
    try:
        way = snapshot.way(method, path, head.host)
    except BadPath as error:
        raise Problem(400, "bad-path", str(error)) from None
    except NotAllowed as refused:
        if method != "OPTIONS":
            raise _not_allowed(method, refused.allow) from None
        raise Answered([(b"allow", ", ".join(refused.allow).encode())]) from None
    if method == "OPTIONS" and way is not None and snapshot.cors is not None and head.preflight:
        raise Answered(snapshot.cors.preflight(head.origin, _METHODS))
    return way


def _not_allowed(method: str, allow: tuple[str, ...]) -> Problem:
    headers = {"Allow": ", ".join(allow)}
    return Problem(405, "method-not-allowed", f"{method} is not possible here", headers=headers)
